"""A real sshd on loopback with a private /etc, so that users, passwords and sudo rules of the test never leave it."""

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from servers.remote import keypair
from servers.remote.host import Login, PinnedKey
from servers.remote.secret import Secret
from tests.ports import free_port

PASSWORD = "pa$$ w'o\"rd\\ %s"
USERS = ("plain", "free", "asked", "expired", "noterm")
SUDOERS = """Defaults !fqdn, !syslog
Defaults:noterm requiretty
free ALL=(ALL) NOPASSWD: ALL
noterm ALL=(ALL) NOPASSWD: ALL
asked ALL=(ALL) ALL
expired ALL=(ALL) NOPASSWD: ALL
"""
START = """set -e
mount --make-rprivate /
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mkdir -p /run/sshd
hash=$(cat "$1/hash")
for user in plain free asked expired noterm; do
  useradd --no-create-home --home-dir / --shell /bin/sh --password "$hash" "$user"
done
usermod -p "$hash" -s /bin/sh root
chage -d 0 expired
install -m 644 "$1/authorized" /etc/ssh/authorized_test
if [ -d /etc/sudoers.d ]; then
  rm -f /etc/sudoers.d/*
  install -m 440 "$1/sudoers" /etc/sudoers.d/test
fi
exec /usr/sbin/sshd -D -e -f "$1/config" 2>>"$1/log"
"""


def missing() -> str:
    """Why no sshd can be started here, or ""."""
    if not os.path.exists("/usr/sbin/sshd"):
        return "sshd is missing: install openssh-server"
    if os.geteuid() != 0:
        return "needs root for a private /etc"
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    return "" if probe.returncode == 0 else "cannot unshare a mount namespace here"


class Sshd:
    def __init__(self, folder: Path, extra: str = "", kinds: tuple[str, ...] = ("ed25519",)):
        self.folder, self.extra, self.kinds = folder, extra, kinds
        self.port = free_port()
        self.private, line = keypair.generate("test")
        (folder / "authorized").write_text(line + "\n")
        salted = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True)
        (folder / "hash").write_text(salted.stdout.strip())
        (folder / "sudoers").write_text(SUDOERS)
        self.new_keys()
        self.process: subprocess.Popen | None = None

    def new_keys(self) -> None:
        for kind in {*self.kinds, "ed25519"}:
            path = self.folder / f"host_{kind}"
            path.unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)

    def start(self) -> "Sshd":
        keys = "".join(f"HostKey {self.folder}/host_{kind}\n" for kind in self.kinds)
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\n{keys}PidFile none\nUsePAM yes\nStrictModes no\n"
            f"AuthorizedKeysFile /etc/ssh/authorized_test\nPermitRootLogin yes\nLogLevel VERBOSE\n"
            f"MaxStartups 100\nMaxSessions 100\nMaxAuthTries 20\nKbdInteractiveAuthentication no\n{self.extra}\n"
        )
        shutil.rmtree(self.folder / "etc", ignore_errors=True)
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "sh", "-c", START, "sh", str(self.folder)]
        self.process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"sshd did not start: {self.log()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise RuntimeError("sshd did not start in 15 s")

    def stop(self) -> None:
        if self.process:
            for pid in self.sessions():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def sessions(self) -> list[int]:
        """Process ids of this sshd's connections."""
        listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (row.split() for row in listing.splitlines())}
        return [pid for pid, parent in parents.items() if parent == self.process.pid]

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pin(self, kind: str = "ed25519") -> PinnedKey:
        name, body, *_ = (self.folder / f"host_{kind}.pub").read_text().split()
        base64.b64decode(body)
        return PinnedKey(name, body)

    def login(self, user: str = "root", **changes) -> Login:
        given = {"address": "127.0.0.1", "port": self.port, "user": user, "pinned": (self.pin(),)}
        return Login(**{**given, "private_key": self.private, **changes})


PASSWORD_SECRET = Secret(PASSWORD)
