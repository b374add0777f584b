"""One whole life of a gateway, with secrets nobody could mistake for anything else, and then a search for them."""

import base64
import json
import secrets
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import redis
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from tests.faults.conftest import accepted_tests, do
from tests.faults.visitor import Visitor
from tests.faults.watch import Records
from tests.fleet import sshkeys
from tests.fleet.server import FleetServer
from tests.panel import Panel

pytestmark = pytest.mark.fleet
LOGIN = "canary@example.org"
NAME = "canary"


def canary(what: str) -> str:
    return f"{what}{secrets.token_hex(6)} $HOME ' \" \\ % é #:{{/&`!"


def forms(secret: bytes) -> set[bytes]:
    """A secret as it may turn up: as it is, encoded alone or inside something longer, escaped for where it went."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for before in range(3):  # the characters of base64 that belong to the secret alone
        inner = base64.b64encode(bytes(before) + secret + bytes(3))[
            -(-8 * before // 6) : 8 * (before + len(secret)) // 6
        ]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def spellings(text: str) -> set[bytes]:
    """All forms of a text, of its escaped spellings, and of its first word, which no escaping changes."""
    escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    escaped |= {escape(text), quote(text, safe=""), quote(text), quote_plus(text), shlex.quote(text)[1:-1]}
    escaped |= {text.replace("'", "'\\''"), text.replace("$", "$$"), text.replace("\\", "\\\\")}
    return {line.encode() for line in escaped} | forms(text.encode()) | forms(text.partition(" ")[0].encode())


def key_forms(private: str) -> set[bytes]:
    """Of the 32 bytes that make an Ed25519 key, and of the lines of its file."""
    key = load_ssh_private_key(private.encode(), None)
    lines = [line.encode() for line in private.splitlines()[2:] if len(line) > 40]  # the first ones are public
    return forms(key.private_bytes_raw()).union(*(forms(line) for line in lines))


@contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """The arguments and environment of every process, those inside the servers included, at 20 Hz."""
    seen: set[bytes] = set()
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.05):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    for name in ("cmdline", "environ"):
                        try:
                            seen.add((entry / name).read_bytes())
                        except OSError:
                            continue

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


class Search:
    """What was found where. Every name of a secret keeps its own forms, so that a finding says which it is."""

    def __init__(self, planted: dict[str, set[bytes]]) -> None:
        self.planted = planted
        self.found: set[tuple[str, str]] = set()

    def look(self, where: str, content: bytes) -> None:
        self.found |= {
            (name, where) for name, all_forms in self.planted.items() if any(f in content for f in all_forms)
        }

    def panel_data(self, panel: Panel) -> None:
        broker = redis.Redis(unix_socket_path=str(panel.data / "broker" / "broker.sock"))
        broker.config_set("rdbcompression", "no")
        broker.save()
        broker.close()
        looked_at = set()
        for path in [*panel.data.rglob("*"), panel.log]:
            if path.is_file() and "static" not in path.parts:
                self.look(str(path), path.read_bytes())
                looked_at.add(path.name)
        assert {"fleetpost.sqlite3", "fleetpost.sqlite3-wal", "dump.rdb", panel.log.name} <= looked_at
        assert any(name.endswith(".aof") for name in looked_at)

    def server(self, server: FleetServer) -> None:
        """Every file, whatever its rights, and the journal, which is compressed on disk."""
        patterns = b"\n".join(f for all_forms in self.planted.values() for f in all_forms if b"\n" not in f)
        away = [f"--exclude-dir={name}" for name in ("proc", "sys", "dev", "repo")]
        holders = server.run(["grep", "-rlaF", *away, "-f", "-", "/"], input=patterns, check=False).stdout.splitlines()
        for path in holders:
            self.look(f"{server.name}:{path}", server.read_file(path))
        self.look(f"{server.name}: journal", server.run(["journalctl", "--all", "-o", "export"]).stdout.encode())

    def take(self) -> set[tuple[str, str]]:
        found, self.found = self.found, set()
        return found


def test_no_secret_is_ever_found_outside_its_two_places(panel, records: Records, server, provider, tmp_path):
    first, second, wrong, sudo = (canary(what) for what in ("first", "second", "wrong", "sudo"))
    pair = sshkeys.generate()
    texts = {"first": first, "second": second, "wrong": wrong, "sudo password": sudo}
    search = Search({name: spellings(text) for name, text in texts.items()} | {"SSH key": key_forms(pair.private)})
    server.authorize(pair.public, "admin")
    server.set_password("admin", sudo)
    server.set_sudo("password")
    (tmp_path / "key").write_text(pair.private)

    with watched_processes() as seen:
        server.run(["sh"], input="sh -c 'sleep 1; true' a-word-that-must-be-seen\n")
        panel.manage_anew(
            *("fleet", "add", NAME, str(server.address), "--user", "admin", "--key", str(tmp_path / "key")),
            *("--host-key", server.fingerprint, "--sudo", "password", "--sudo-password-stdin"),
            typed=sudo + "\n",
        )
        for name, password in (("First", first), ("Second", second), ("Refused", wrong)):
            panel.manage_anew(
                *("smarthost", "add", name, "--host", provider.host, "--username", LOGIN, "--password-stdin"),
                *("--sending-domain", "example.org"),
                typed=password + "\n",
            )
        provider.add_user(LOGIN, first, ["@example.org"])
        gateway(panel, "succeeded", "install", "First")
        provider.add_user(LOGIN, second, ["@example.org"])
        server.forbid_forwarding()  # from here on the server's own tools prove the password
        gateway(panel, "succeeded", "reinstall", "Second")
        gateway(panel, "failed", "reinstall", "Refused")
        accepted_tests(panel, provider, NAME)

        search.server(server)
        (holder,) = {where.partition(":")[2] for _, where in search.found}
        assert search.take() == {("second", f"{server.name}:{holder}")}
        folder, _, file = holder.rpartition("/")
        assert folder.startswith("/etc/postfix/fleetpost/") and file == "sasl_passwd"
        assert server.run(["stat", "-c", "%a %U", holder, folder]).stdout.split() == ["600", "root", "700", "root"]

        for role in ("administrator", "operator", "customer"):
            look_at_pages(search, panel, records, role)
        commands = [("fleet", "list"), ("fleet", "show", NAME), ("fleet", "jobs"), ("gateway", "status", NAME)]
        commands += [("smarthost", "list"), ("smarthost", "show", "Second")]
        commands += [("fleet", "job", str(row["id"])) for row in records.ask("select id from jobs_job")][-6:]
        for command in commands:
            search.look(" ".join(command), panel.manage(*command, "--json").encode())
        (gone,) = do(panel, "gateway", "uninstall", NAME)
        assert gone["status"] == "succeeded", gone

    search.server(server)
    search.panel_data(panel)
    everything = b"\0".join(seen)
    assert b"a-word-that-must-be-seen" in everything
    search.look("a process's arguments or environment", everything)
    assert search.take() == set()


def gateway(panel: Panel, ending: str, verb: str, provider: str) -> None:
    (job,) = do(panel, "gateway", verb, NAME, "--smarthost", provider)
    assert job["status"] == ending, job


def look_at_pages(search: Search, panel: Panel, records: Records, role: str) -> None:
    visitor = Visitor(panel, f"{role}@canary.example", role)
    overview = records.page_of(NAME)
    if role == "customer":
        (person,) = records.ask("select id from access_user where email = ?", f"{role}@canary.example")
        boss = Visitor(panel, "boss@canary.example", "administrator")
        boss.post(f"{overview}settings/people/", form_on=f"{overview}settings/", people=str(person["id"]))
    pages = visitor.everything()
    assert overview in pages and f"{overview}services/" in pages, sorted(pages)
    assert len(pages) > 10
    for path, page in pages.items():
        search.look(f"{path} for {role}", page.encode())
