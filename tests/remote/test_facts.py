"""What a server says about itself, and what a check of its connection makes of that."""

import base64
from dataclasses import replace

import pytest

from servers.remote import facts, stages
from servers.remote.facts import Disk, ServerFacts
from servers.remote.host import PinnedKey
from tests.ports import free_port

SAID = {
    "os": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\n',
    "machine": "x86_64\namd64\nrelay7\n",
    "managers": "/usr/bin/apt-get\n",
    "disk": "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
    "/dev/vda1 20000000 5000000 15000000 25% /\n/dev/vdb1 1000 900 100 90% /var\n/dev/vda1 20000000 1 15000000 25% /\n",
    "inodes": "Filesystem Inodes IUsed IFree IUse% Mounted on\n"
    "/dev/vda1 1000 10 990 1% /\nbtrfs 0 0 0 - /var\n/dev/vda1 1000 10 990 1% /\n",
    "mounts": "/dev/vda1 / ext4 rw,relatime 0 0\n/dev/vdb1 /var btrfs ro,relatime 0 0\n",
    "clock": "1795247627.5\n",
    "init": "systemd\n/usr/bin/perl\n",
    "mail": "ii  bash \nii  exim4-daemon-light default-mta, mail-transport-agent\nrc  postfix mail-transport-agent\n"
    "/usr/sbin/sendmail\n",
    "tcp": "  sl  local_address rem_address   st\n"
    "   0: 0100007F:0019 00000000:0000 0A 00000000\n"
    "   1: 00000000:0019 00000000:0000 0A 00000000\n"
    "   2: 00000000:0016 00000000:0000 0A 00000000\n"
    "   3: 00000000000000000000000001000000:024B 00000000000000000000000000000000:0000 0A 0\n"
    "   4: 00000000000000000000000000000000:01D1 00000000000000000000000000000000:0000 0A 0\n"
    "   5: 0A00A8C0:024B 0A00A8C1:C350 01 00000000\n",
    "listeners": 'LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("exim4",pid=9,fd=3))\n',
    "memory": "MemTotal:        2048000 kB\nMemFree: 1 kB\n",
}

GOOD = ServerFacts(
    os_id="debian",
    version="12",
    package_manager="apt",
    disks=(Disk("/", "/", 10**10, 10**6, False),),
    epoch=1000.0,
    systemd=True,
    perl=True,
)


def stdout(said: dict[str, str]) -> bytes:
    return b"".join(b"@%s\n%s\n.\n" % (name.encode(), base64.encodebytes(text.encode())) for name, text in said.items())


def test_facts_are_read_from_one_scripts_output():
    assert facts.parse_server(stdout(SAID)) == ServerFacts(
        os_id="ubuntu",
        os_like=("debian",),
        version="24.04",
        name="Ubuntu 24.04.1 LTS",
        arch="amd64",
        hostname="relay7",
        package_manager="apt",
        disks=(
            Disk("/", "/", 15_000_000 * 1024, 990, False),
            Disk("/var", "/var", 102_400, None, True),
            Disk("/etc", "/", 15_000_000 * 1024, 990, False),
        ),
        epoch=1795247627.5,
        systemd=True,
        perl=True,
        mail_system="exim4-daemon-light",
        listeners={25: "exim4", 465: ""},
        memory=2_048_000 * 1024,
    )


def test_a_server_that_says_nothing_or_nonsense_has_empty_facts():
    assert facts.parse_server(b"") == ServerFacts()
    nonsense = dict.fromkeys(SAID, "\x1b[2J\n= = =\nÿ 1 2 3 4 5 6 7\n")
    facts.parse_server(stdout(nonsense))


def verdict(**changes) -> dict[str, str]:
    return {slug: state for slug, (state, _, _) in stages.judge(replace(GOOD, **changes), 1000.0)}


def test_a_good_server_passes_every_stage():
    assert set(verdict().values()) == {"ok"}


@pytest.mark.parametrize(
    ("changes", "slug", "state"),
    [
        ({"os_id": "fedora", "version": "41"}, "system", "fail"),
        ({"os_id": "debian", "version": "10"}, "system", "warn"),
        ({"os_id": "linuxmint", "os_like": ("ubuntu", "debian")}, "system", "warn"),
        ({"systemd": False}, "system", "warn"),
        ({"package_manager": "dnf"}, "packages", "fail"),
        ({"perl": False}, "packages", "fail"),
        ({"disks": ()}, "disk", "unknown"),
        ({"disks": (Disk("/var", "/var", 50 << 20, 10**6, False),)}, "disk", "fail"),
        ({"disks": (Disk("/var", "/var", 300 << 20, 10**6, False),)}, "disk", "warn"),
        ({"disks": (Disk("/", "/", 10**10, 20, False),)}, "disk", "fail"),
        ({"disks": (Disk("/etc", "/", 10**10, 10**6, True),)}, "disk", "fail"),
        ({"epoch": 0.0}, "clock", "unknown"),
        ({"epoch": 900.0}, "clock", "warn"),
        ({"epoch": 31_536_000.0}, "clock", "fail"),
        ({"mail_system": "exim4-daemon-light"}, "mail", "warn"),
        ({"mail_system": "other"}, "mail", "warn"),
        ({"mail_system": "postfix"}, "mail", "ok"),
        ({"listeners": {25: "haproxy"}}, "ports", "warn"),
        ({"mail_system": "postfix", "listeners": {25: "master"}}, "ports", "ok"),
    ],
)
def test_each_trouble_is_seen_at_its_stage(changes, slug, state):
    found = verdict(**changes)
    assert found.pop(slug) == state
    assert set(found.values()) == {"ok"}


def test_what_is_not_well_comes_with_a_next_move():
    for changes in ({"os_id": "x"}, {"disks": ()}, {"epoch": 0.0}, {"perl": False}, {"mail_system": "other"}):
        for state, _, fix in dict(stages.judge(replace(GOOD, **changes), 1000.0)).values():
            assert (state == "ok") == (not fix)


def slugs(found, state: str) -> list[str]:
    return [stage.slug for stage in found if stage.state == state]


def test_a_check_goes_through_every_stage_and_tells_each_once(sshd):
    told, seen = [], []
    found = stages.check(sshd.login(), told.append, seen.append)
    assert found == told
    assert [stage.slug for stage in found] == list(stages.TITLES)
    assert slugs(found, "fail") == slugs(found, "skipped") == []
    assert seen[0].os_id


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"address": "nosuch.invalid"}, "name"),
        ({"port": 0}, "tcp"),
        ({"pinned": ()}, "host-key"),
        ({"pinned": (PinnedKey("ssh-ed25519", "AAAA"),)}, "host-key"),
        ({"private_key": None}, "sign-in"),
        ({"user": "plain"}, "root"),
    ],
)
def test_a_check_stops_at_the_first_blocker(sshd, changes, failing):
    if "port" in changes:
        changes = {"port": free_port()}
    found = stages.check(sshd.login(**changes))
    assert slugs(found, "fail") == [failing]
    position = list(stages.TITLES).index(failing)
    assert slugs(found, "skipped") == list(stages.TITLES)[position + 1 :]
    assert found[position].fix


def test_an_unaccepted_key_is_shown_with_its_fingerprint(sshd):
    found = {stage.slug: stage for stage in stages.check(sshd.login(pinned=()))}
    assert "SHA256:" in found["host-key"].evidence
