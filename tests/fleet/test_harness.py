"""The fleet keeps its promises: real servers, fresh each time, and not one packet leaves."""

import os
import signal
import socket
import subprocess
import time

import pytest

from tests.fleet import cgroups
from tests.fleet.fleet import ACCOUNT, Fleet
from tests.fleet.host import succeeds
from tests.fleet.labels import labels, reserved_label
from tests.fleet.provider import Provider
from tests.fleet.provider_config import Record
from tests.fleet.server import FleetServer


def ssh(server: FleetServer, user: str, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*server.ssh_command(user), command], capture_output=True, text=True, timeout=30)


def connects(server: FleetServer, port: int) -> str:
    """The word open, or the name of what the connection met."""
    try:
        socket.create_connection((str(server.address), port), timeout=1).close()
    except OSError as problem:
        return type(problem).__name__
    return "open"


def relay_through(server: FleetServer, smarthost: str) -> None:
    """The least that makes a fresh Postfix send through the provider, certificates checked."""
    server.install("postfix", "libsasl2-modules", "ca-certificates")
    row = f"{smarthost} {ACCOUNT.login}:{ACCOUNT.password}\n"
    server.write_file("/etc/postfix/sasl_passwd", row, mode="0600")
    settings = {
        "relayhost": smarthost,
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": "texthash:/etc/postfix/sasl_passwd",
        "smtp_sasl_security_options": "noanonymous",
        "smtp_tls_security_level": "secure",
        "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
    }
    server.run(["postconf", "-e", *(f"{name}={value}" for name, value in settings.items())])
    server.run(["systemctl", "restart", "postfix"])


def test_a_server_is_a_whole_system_with_ssh_and_sudo(each_server: FleetServer) -> None:
    for user in ("root", "admin"):
        answer = ssh(each_server, user, "sudo -n id -un; hostname -f; systemctl is-system-running")
        assert answer.stdout.split() == ["root", each_server.fqdn, "running"], answer.stderr
    assert each_server.failed_units() == []


def test_postfix_installs_offline_and_mail_reaches_the_provider(each_server: FleetServer, provider: Provider) -> None:
    relay_through(each_server, f"[{provider.host}]:587")
    mail = f"From: app@example.org\nMessage-ID: <{each_server.distro}@fleet.test>\nSubject: hello\n\nbody\n"
    each_server.run(["sendmail", "-f", "app@example.org", "somebody@far.example"], input=mail)
    arrived = provider.wait_for_messages(1)
    assert provider.ledger() == {f"<{each_server.distro}@fleet.test>": 1}
    assert arrived[0]["Return-Path"] == "<app@example.org>"
    assert arrived[0]["Delivered-To"] == "somebody@far.example"
    assert f"Authenticated sender: {ACCOUNT.login}" in arrived[0]["Received"]


def test_reset_is_quick_and_leaves_no_trace(server: FleetServer) -> None:
    before = server.fingerprint
    server.run("echo mine > /etc/mine; useradd someone; rm -rf /var/lib/dpkg/status")
    server.go_silent()
    started = time.monotonic()
    server.reset()
    assert time.monotonic() - started < 5
    assert not server.exists("/etc/mine")
    assert server.run("getent passwd someone", check=False).returncode == 2
    assert server.exists("/var/lib/dpkg/status")
    assert server.fingerprint == before
    assert ssh(server, "root", "true").returncode == 0


def test_reboot_keeps_what_is_on_disk(server: FleetServer) -> None:
    server.write_file("/etc/mine", b"\xff\x00kept", mode="0600")
    server.reboot()
    assert server.read_file("/etc/mine") == b"\xff\x00kept"


def test_no_packet_can_leave(server: FleetServer) -> None:
    """Asked of the kernel's routing, so that the test itself sends nothing: 198.51.100.0/24 is nobody's."""
    for host in (server.namespace, server.place.net.namespace("bad"), server.place.net.namespace("smtp")):
        refused = subprocess.run(["ip", "-n", host, "route", "get", "198.51.100.1"], capture_output=True, text=True)
        assert refused.returncode != 0
        assert "No route to host" in refused.stderr
    changed = ssh(server, "root", f"ip route add 198.51.100.0/24 via {server.place.net.gateway}")
    assert "Operation not permitted" in changed.stderr


@pytest.mark.usefixtures("fleet")
def test_a_range_goes_nowhere_once_its_bridge_is_gone() -> None:
    with reserved_label("gone") as label:
        with Fleet(label, []) as short_lived:
            address = str(short_lived.provider.address)
            assert succeeds("ip", "route", "get", address)
        assert not succeeds("ip", "route", "get", address)
        assert label not in labels()


def test_two_fleets_do_not_see_each_other(fleet: Fleet) -> None:
    with reserved_label("second") as label, Fleet(label, ["debian12"]) as other:
        assert other.place.net.subnet != fleet.place.net.subnet
        there = str(other.servers[0].address)
        assert not succeeds("ip", "-n", fleet.servers[0].namespace, "route", "get", there)
        assert ssh(other.servers[0], "root", "true").returncode == 0
    assert ssh(fleet.servers[0], "root", "true").returncode == 0


@pytest.mark.usefixtures("fleet")
def test_starting_over_sweeps_what_a_crash_left() -> None:
    with reserved_label("crashed") as label:
        crashed = Fleet(label, ["debian12"]).up()
        os.kill(crashed.servers[0].leader, signal.SIGKILL)
        subprocess.run(["ip", "link", "del", crashed.place.net.bridge], check=True)
        (crashed.directory / "state.json").unlink()
        with Fleet(label, ["debian12"]) as again:
            assert ssh(again.servers[0], "root", "true").returncode == 0
        again.down()
        assert label not in labels()
        assert f"fp-{label}-" not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        assert cgroups.pids(label) == set()


def test_another_process_can_attach(fleet: Fleet) -> None:
    attached = Fleet.attach(fleet.label)
    assert [server.fingerprint for server in attached.servers] == [server.fingerprint for server in fleet.servers]
    assert attached.provider.run("hostname").stdout == "smtp\n"


def test_ports_can_be_dropped_rejected_and_freed(server: FleetServer) -> None:
    server.drop(22)
    assert connects(server, 22) == "TimeoutError"
    server.unblock()
    server.reject(22)
    assert connects(server, 22) == "ConnectionRefusedError"
    server.unblock()
    assert connects(server, 22) == "open"


@pytest.mark.parametrize(("how", "exit_code"), [("drop", 124), ("reject", 1)])
def test_outgoing_ports_can_be_cut(server: FleetServer, provider: Provider, how: str, exit_code: int) -> None:
    attempt = ["timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{provider.host}/587"]
    assert server.run(attempt, check=False).returncode == 0
    getattr(server, how)(587, "out")
    assert server.run(attempt, check=False).returncode == exit_code


def test_sudo_comes_in_every_variant(server: FleetServer) -> None:
    server.set_password("admin", "geheim")
    server.set_sudo("password")
    assert "password is required" in ssh(server, "admin", "sudo -n true").stderr
    assert ssh(server, "admin", "echo geheim | sudo -S -p '' id -un").stdout == "root\n"
    server.set_sudo("requiretty")
    assert "must have a tty" in ssh(server, "admin", "sudo -n true").stderr
    server.set_sudo("none")
    assert ssh(server, "admin", "sudo -n true").returncode == 1


def test_a_replaced_host_key_is_noticed(each_server: FleetServer) -> None:
    pinned = each_server.fingerprint
    assert each_server.replace_host_key().fingerprint != pinned
    assert "Host key verification failed" in ssh(each_server, "root", "true").stderr


def test_keys_come_and_go(server: FleetServer) -> None:
    server.add_user("deploy", "geheim")
    assert ssh(server, "deploy", "true").returncode == 255
    server.authorize(server.key.public, "deploy")
    assert ssh(server, "deploy", "id -un").stdout == "deploy\n"
    server.revoke_keys("deploy")
    assert ssh(server, "deploy", "true").returncode == 255


def test_forwarding_can_be_forbidden(each_server: FleetServer, provider: Provider) -> None:
    forward = [*each_server.ssh_command(), "-W", f"{provider.host}:587"]
    assert b"220 " in first_bytes(forward)
    each_server.forbid_forwarding()
    assert first_bytes(forward) == b""


def first_bytes(command: list[str]) -> bytes:
    """What a forwarding ssh passes on before its standard input ends."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        greeting = running.stdout.read(4)
        running.kill()
    return greeting


def test_names_are_answered_by_the_fleet_alone(server: FleetServer, provider: Provider) -> None:
    def lookup(name: str) -> str:
        return server.run(["getent", "hosts", name], check=False).stdout

    assert str(provider.address) in lookup(provider.host)
    assert str(server.address) in lookup(server.fqdn)
    assert lookup("smtp.example.com") == ""
    provider.set_records([*provider.own_records, Record("smtp.example.com", "A", str(provider.address))])
    assert str(provider.address) in lookup("smtp.example.com")
