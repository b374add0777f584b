"""A server for the panel to manage: sign-in, sudo and sshd in every variant an operator meets."""

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from tests.fleet import network, sshkeys
from tests.fleet.images import Image
from tests.fleet.machine import Machine, Place
from tests.fleet.sshkeys import KeyPair

Sudo = Literal["nopasswd", "password", "requiretty", "none"]
SUDOERS = {
    "nopasswd": "admin ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "password": "admin ALL=(ALL:ALL) ALL\n",
    "requiretty": "Defaults:admin requiretty\nadmin ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "none": "",
}
# Greets, answers EHLO without STARTTLS, refuses the rest. perl-base is all it takes.
STRANGER = r"""
use strict; use warnings; use Socket qw(:all);
my ($port, $name) = @ARGV;
socket my $listener, PF_INET, SOCK_STREAM, IPPROTO_TCP or die;
setsockopt $listener, SOL_SOCKET, SO_REUSEADDR, 1;
bind $listener, pack_sockaddr_in($port, INADDR_ANY) or die;
listen $listener, 8;
$SIG{CHLD} = 'IGNORE';
while (accept my $client, $listener) {
    next if fork;
    select $client; $| = 1;
    print "220 $name ESMTP\r\n";
    while (<$client>) {
        print /^EHLO/i ? "250-$name\r\n250 SIZE 1000\r\n" : /^QUIT/i ? "221 2.0.0 Bye\r\n" : "502 5.5.1 no\r\n";
    }
    exit;
}
"""
SSHD_OPEN = "PermitRootLogin yes\nPasswordAuthentication yes\nUseDNS no\n"
ADMIN_IDS = (1000, 100)


class FleetServer(Machine):
    """root and `admin` take the fleet's key; passwords are locked until set; admin has NOPASSWD sudo."""

    def __init__(
        self,
        place: Place,
        name: str,
        distro: str,
        image: Image,
        address: IPv4Address,
        *,
        key: KeyPair,
        nameserver: IPv4Address,
        ca_pem: str,
    ) -> None:
        super().__init__(place, name, image, address)
        self.distro = distro
        self.key = key
        self.nameserver = nameserver
        self.ca_pem = ca_pem

    def prepare(self) -> None:
        super().prepare()
        pair = self.host_key
        self.put("/etc/ssh/ssh_host_ed25519_key", pair.private, mode=0o600)
        self.put("/etc/ssh/ssh_host_ed25519_key.pub", pair.public + "\n")
        self.put("/etc/ssh/sshd_config.d/fleet.conf", SSHD_OPEN)
        self.put("/etc/resolv.conf", f"nameserver {self.nameserver}\n")
        self.put("/root/.ssh/authorized_keys", self.key.public + "\n", mode=0o600)
        self.put("/home/admin/.ssh/authorized_keys", self.key.public + "\n", mode=0o600, owner=ADMIN_IDS)
        self.put("/etc/sudoers.d/fleet", SUDOERS["nopasswd"], mode=0o440)
        self.trust(self.ca_pem)

    def trust(self, ca_pem: str) -> None:
        """What update-ca-certificates would make of it, without its second and a half."""
        self.put("/usr/local/share/ca-certificates/fleet.crt", ca_pem)
        bundle = (self.root / "etc/ssl/certs/ca-certificates.crt").read_text()
        self.put("/etc/ssl/certs/ca-certificates.crt", bundle + ca_pem)

    @property
    def host_key(self) -> KeyPair:
        """Made on first use, then kept over resets, as a pinned server's would be."""
        stored = self.home / "host_key.json"
        if not stored.exists():
            self.store_host_key(sshkeys.generate())
        return KeyPair(**json.loads(stored.read_text()))

    def store_host_key(self, pair: KeyPair) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "host_key.json").write_text(json.dumps({"private": pair.private, "public": pair.public}))

    @property
    def fingerprint(self) -> str:
        return self.host_key.fingerprint

    def replace_host_key(self, kind: str = "ed25519") -> KeyPair:
        """The running server answers with another key from its next connection on (until reset())."""
        pair = sshkeys.generate(kind)
        self.run("rm -f /etc/ssh/ssh_host_*")
        self.write_file(f"/etc/ssh/ssh_host_{kind}_key", pair.private, mode="0600")
        self.write_file(f"/etc/ssh/ssh_host_{kind}_key.pub", pair.public + "\n")
        self.restart_sshd()
        return pair

    def restart_sshd(self) -> None:
        """Ubuntu 24.04 starts sshd from a socket unit; the service name is the same everywhere."""
        self.run("systemctl daemon-reload; systemctl restart ssh.service")

    def authorize(self, public_key: str, user: str = "root") -> None:
        """Add a key to the user's authorized_keys."""
        script = 'd=$(getent passwd "$0" | cut -d: -f6)/.ssh; mkdir -p "$d"; cat >> "$d/authorized_keys"; '
        script += 'chmod 700 "$d"; chmod 600 "$d/authorized_keys"; chown -R "$0:" "$d"'
        self.run(["sh", "-ec", script, user], input=public_key.strip() + "\n")

    def revoke_keys(self, user: str = "root") -> None:
        self.run(["sh", "-ec", ': > "$(getent passwd "$0" | cut -d: -f6)/.ssh/authorized_keys"', user])

    def set_password(self, user: str, password: str) -> None:
        self.run(["chpasswd"], input=f"{user}:{password}\n")

    def add_user(self, user: str, password: str | None = None) -> None:
        self.run(["useradd", "--create-home", "--shell", "/bin/bash", user])
        if password is not None:
            self.set_password(user, password)

    def set_sudo(self, variant: Sudo) -> None:
        """What `admin` may do. "password" needs set_password("admin", …) as well."""
        self.write_file("/etc/sudoers.d/fleet", SUDOERS[variant], mode="0440")

    def set_sshd(self, *lines: str) -> None:
        """Put sshd_config lines first (sshd takes the first value it sees) and restart it."""
        self.write_file("/etc/ssh/sshd_config.d/00-fleet.conf", "".join(f"{line}\n" for line in lines))
        self.restart_sshd()

    def forbid_forwarding(self) -> None:
        self.set_sshd("AllowTcpForwarding no")

    def drop(self, port: int, direction: network.Direction = "in") -> None:
        """Silence on a TCP port: packets vanish. direction="out" is the server's own connections."""
        network.block(self.namespace, how="drop", port=port, direction=direction)

    def reject(self, port: int, direction: network.Direction = "in", answer: str = "tcp-reset") -> None:
        """A reset on a TCP port, or the ICMP word `answer` (iptables names them: icmp-host-prohibited, …)."""
        network.block(self.namespace, how=answer, port=port, direction=direction)

    def intercept(self, port: int, name: str) -> None:
        """Its own connections to `port` of anywhere end at an SMTP server on itself that calls itself `name`."""
        self.write_file("/root/stranger.pl", STRANGER)
        self.run(["systemd-run", f"--unit=stranger-{port}", "perl", "/root/stranger.pl", str(port + 20000), name])
        network.divert(self.namespace, port, to=port + 20000, here=True)
        self.run(f"until ss -Hltn 'sport = :{port + 20000}' | grep -q LISTEN; do sleep 0.1; done")

    def shift(self, port: int, to: int) -> None:
        """Its own connections to `port` of anywhere reach port `to` there."""
        network.divert(self.namespace, port, to=to, here=False)

    def go_silent(self) -> None:
        """No packet in or out any more, as when its cable is pulled; unblock() ends it."""
        network.go_silent(self.namespace)

    def unblock(self) -> None:
        network.unblock(self.namespace)

    def ssh_command(self, user: str = "root") -> list[str]:
        """argv of the ssh client with the fleet's key and this server's pinned host key."""
        known = self.home / "known_hosts"
        known.write_text(f"{self.address} {self.host_key.public}\n")
        options = ("BatchMode=yes", "ConnectTimeout=5", f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=none")
        flags = [part for option in options for part in ("-o", option)]
        return ["ssh", "-i", str(self.key_file), *flags, f"{user}@{self.address}"]

    @property
    def key_file(self) -> Path:
        return self.place.directory / "id_ed25519"
