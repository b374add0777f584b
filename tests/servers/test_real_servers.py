"""Enrolment and the connection check against real Debian servers."""

import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from servers import inventory, sshkeys, trust
from servers.management import console, enrolment
from servers.models import Blocked, HostKey, Server
from servers.remote.errors import SignInRefused
from servers.remote.secret import Secret

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]

PASSWORD = "canary pa$$ '\"\\ # ж"


def fleet(*arguments, typed: str = "", monkeypatch=None) -> tuple[int, dict]:
    """manage.py fleet … --json -> (exit code, the document)."""
    out = StringIO()
    if typed:
        monkeypatch.setattr("sys.stdin", StringIO(typed))
    code = 0
    try:
        call_command("fleet", *arguments, "--json", stdout=out, stderr=StringIO())
    except SystemExit as ended:
        code = ended.code
    return code, json.loads(out.getvalue() or "{}")


def check(name: str = "web-1") -> dict:
    """One check in this process: its job as --json prints it, with the exit code."""
    code, told = fleet("check", name, "--here")
    return told["jobs"][0] | {"code": code}


def failed_stage() -> dict:
    return next(stage for stage in Server.objects.get(name="web-1").findings["stages"] if stage["state"] == "fail")


def auth_attempts(server) -> int:
    """Sign-ins the real sshd has seen, good or bad, from its own log."""
    log = server.run(["journalctl", "-u", "ssh", "--no-pager", "-o", "cat"]).stdout.splitlines()
    return sum(line.startswith(("Accepted ", "Failed ", "Connection closed by authenticating")) for line in log)


@pytest.fixture
def key_file(server, tmp_path) -> str:
    path = tmp_path / "id"
    path.write_text(server.key.private)
    return str(path)


@pytest.fixture
def enrolled(server, key_file):
    code, _ = fleet("add", "web-1", str(server.address), "--key", key_file, "--host-key", server.fingerprint)
    assert code == 0
    return Server.objects.get()


def test_every_supported_system_passes(each_server, tmp_path):
    (tmp_path / "id").write_text(each_server.key.private)
    address, fingerprint = str(each_server.address), each_server.fingerprint
    fleet("add", "web-1", address, "--key", str(tmp_path / "id"), "--host-key", fingerprint)
    assert check()["status"] == "succeeded"


def test_add_by_fingerprint_and_check(server, enrolled):
    told = check()
    assert (told["code"], told["status"]) == (0, "succeeded"), told
    row = Server.objects.get()
    assert (row.reach, row.checked_at is not None) == (Server.Reach.OK, True)
    assert all(stage["state"] != "fail" for stage in row.findings["stages"])
    assert told["changed"] is False
    assert [stage["slug"] for stage in row.findings["stages"]] == [
        *("name", "tcp", "ssh", "host-key", "sign-in", "root", "system", "packages", "disk", "clock", "mail", "ports")
    ]
    assert row.findings["facts"]["os"] == "Debian 12"


def test_a_wrong_fingerprint_adds_nothing(server, key_file):
    with pytest.raises(console.Usage) as refused:
        fleet("add", "web-1", str(server.address), "--key", key_file, "--host-key", "SHA256:" + "A" * 43)
    assert server.fingerprint in str(refused.value)
    assert not Server.objects.exists()
    assert auth_attempts(server) == 0


def test_a_server_that_does_not_answer_is_not_added(server, key_file):
    server.reject(22)
    code, _ = fleet("add", "web-1", str(server.address), "--key", key_file, "--host-key", server.fingerprint)
    assert code == 1
    assert not Server.objects.exists()


def test_accept_first_pins_what_it_sees(server, key_file):
    assert fleet("add", "web-1", str(server.address), "--key", key_file, "--host-key", "accept-first")[0] == 0
    assert trust.pinned(Server.objects.get()).fingerprint == server.fingerprint


def test_first_contact_shows_the_key_and_sends_nothing(server, key_file):
    fleet("add", "web-1", str(server.address), "--key", key_file)
    told = check()
    assert (told["code"], told["status"]) == (1, "failed")
    row = Server.objects.get()
    assert trust.waiting(row)[0].fingerprint == server.fingerprint
    assert row.reach == Server.Reach.KEY_OFFERED
    assert failed_stage()["slug"] == "host-key"
    assert auth_attempts(server) == 0
    trust.pin_host_key(row, server.fingerprint, by="test")
    assert check()["status"] == "succeeded"


def test_a_changed_host_key_blocks_everything_and_no_credential_is_sent(server, enrolled):
    assert check()["status"] == "succeeded"
    attempts = auth_attempts(server)
    assert attempts > 0
    old, new = server.fingerprint, server.replace_host_key().fingerprint
    assert check()["status"] == "failed"
    row = Server.objects.get()
    assert row.reach == Server.Reach.KEY_CHANGED
    assert [key.fingerprint for key in trust.waiting(row)] == [new]
    with pytest.raises(Blocked):
        row.login()
    assert failed_stage()["slug"] == "host-key"
    assert auth_attempts(server) == attempts
    trust.pin_host_key(row, new, by="test")
    assert check()["status"] == "succeeded"
    assert row.host_keys.get(fingerprint=old).state == HostKey.State.RETIRED


def test_a_changed_kind_of_key_blocks_too(server, enrolled):
    server.replace_host_key("ecdsa")
    assert check()["status"] == "failed"
    assert Server.objects.get().reach == Server.Reach.KEY_CHANGED
    assert auth_attempts(server) == 0


def test_a_wrong_password_fails_at_the_sign_in_with_the_fix(server, monkeypatch):
    fleet(
        *("add", "web-1", str(server.address), "--password-stdin", "--host-key", server.fingerprint),
        typed="wrong\n",
        monkeypatch=monkeypatch,
    )
    told = check()
    assert (told["code"], failed_stage()["slug"]) == (1, "sign-in")
    assert failed_stage()["hint"]
    assert "wrong" not in json.dumps(Server.objects.get().findings)


def test_a_stored_password_signs_in(server, monkeypatch):
    server.set_password("root", PASSWORD)
    fleet(
        *("add", "web-1", str(server.address), "--password-stdin", "--host-key", server.fingerprint),
        typed=PASSWORD + "\n",
        monkeypatch=monkeypatch,
    )
    assert check()["status"] == "succeeded"


@pytest.mark.parametrize("port", [1, 25])
def test_a_closed_port_fails_at_tcp(server, enrolled, port):
    inventory.change(enrolled, by="test", port=port)
    check()
    assert failed_stage()["slug"] == "tcp"


@pytest.mark.parametrize("variant", ["nopasswd", "password"])
def test_sudo_in_both_ways(server, key_file, variant, monkeypatch):
    server.set_password("admin", PASSWORD)
    server.set_sudo(variant)
    options = ("--sudo", variant, *(["--sudo-password-stdin"] if variant == "password" else []))
    code, _ = fleet(
        *("add", "web-1", str(server.address), "--user", "admin", "--key", key_file, *options),
        *("--host-key", server.fingerprint),
        typed=PASSWORD + "\n",
        monkeypatch=monkeypatch,
    )
    assert code == 0
    told = check()
    assert told["status"] == "succeeded", told
    assert PASSWORD not in json.dumps(told)


@pytest.mark.parametrize(
    ("promised", "real"), [("nopasswd", "password"), ("nopasswd", "none"), ("nopasswd", "requiretty")]
)
def test_sudo_that_is_not_as_promised_fails_at_root_with_the_fix(server, key_file, promised, real):
    server.set_password("admin", PASSWORD)
    server.set_sudo(real)
    fleet(
        *("add", "web-1", str(server.address), "--user", "admin", "--key", key_file, "--sudo", "nopasswd"),
        *("--host-key", server.fingerprint),
    )
    assert check()["status"] == "failed"
    assert failed_stage()["slug"] == "root"
    assert failed_stage()["hint"]


@pytest.mark.parametrize("user", ["root", "admin"])
def test_the_panel_installs_its_key_once_and_forgets_the_password(server, user, monkeypatch):
    server.revoke_keys(user)
    server.set_password(user, PASSWORD)
    sudo = ("--sudo", "nopasswd") if user == "admin" else ()
    code, told = fleet(
        *("add", "web-1", str(server.address), "--user", user, *sudo, "--password-stdin", "--install-key"),
        *("--host-key", server.fingerprint),
        typed=PASSWORD + "\n",
        monkeypatch=monkeypatch,
    )
    assert (code, told["sign_in"]) == (0, "key")
    row = Server.objects.get()
    assert row.password is None
    assert row.__dict__["password"] is None
    assert check()["status"] == "succeeded"
    lines = server.run(f"cat ~{user}/.ssh/authorized_keys; stat -c '%U %a' ~{user}/.ssh/authorized_keys").stdout
    assert lines.count(row.ssh_key.public.strip()) == 1
    assert f"{user} 600" in lines
    sshkeys.install_key_once(row, Secret(PASSWORD), by="test")
    again = server.run(f"cat ~{user}/.ssh/authorized_keys").stdout
    assert again.count(row.ssh_key.public.strip()) == 1, "a second time changes nothing"


def test_a_one_time_password_that_is_wrong_changes_nothing(server, enrolled):
    before = Server.objects.values().get()
    with pytest.raises(SignInRefused):
        sshkeys.install_key_once(enrolled, Secret("wrong"), by="test")
    assert Server.objects.values().get() == before


def test_a_changed_key_is_accepted_by_the_fingerprint_a_person_read(server, enrolled):
    fingerprint = server.replace_host_key().fingerprint
    assert check()["status"] == "failed"
    out, accept = StringIO(), ("fleet", "accept-key", "web-1")
    for unread in ("SHA256:of-somebody-else", "accept-first"):
        with pytest.raises(CommandError, match=re.escape(fingerprint)):
            call_command(*accept, unread, stdout=out)
    assert Server.objects.get().reach == Server.Reach.KEY_CHANGED
    call_command(*accept, fingerprint, stdout=out)
    assert fingerprint in out.getvalue() and check()["status"] == "succeeded"
    call_command(*accept, "SHA256:of-somebody-else", stdout=out)
    assert "still offers its accepted key" in out.getvalue()


def test_the_pasted_line_lets_the_panel_in(server):
    """The exact command of the page, run as a person would."""
    row = inventory.add(by="test", name="web-1", address=str(server.address))
    trust.offer_host_keys(row, enrolment.offered(row))
    trust.pin_host_key(row, server.fingerprint, by="test")
    server.run("printf 'no newline at the end' > /root/.ssh/authorized_keys")
    assert check()["status"] == "failed"
    server.run(f"HOME=/root; {sshkeys.paste_command(row.ssh_key)}")
    assert check()["status"] == "succeeded"


@pytest.mark.parametrize("servers", [["debian12", "debian12"]], indirect=True)
def test_a_server_behind_a_jump_server(servers, tmp_path):
    near, far = servers
    (tmp_path / "id").write_text(near.key.private)
    key = ("--key", str(tmp_path / "id"))
    fleet("add", "bastion", str(near.address), *key, "--host-key", near.fingerprint)
    fleet("add", "web-1", str(far.address), *key, "--jump", "bastion", "--host-key", far.fingerprint)
    assert check()["status"] == "succeeded"
    seen = far.run(["journalctl", "-u", "ssh", "--no-pager", "-o", "cat"]).stdout
    assert f"from {near.address} " in seen, "it came through the jump server"
    near.replace_host_key()
    assert check("bastion")["status"] == "failed"
    attempts = auth_attempts(far)
    assert check()["status"] == "failed"
    assert auth_attempts(far) == attempts, "a blocked jump server blocks what is behind it"
