"""The states every contestant starts from and must end in, put on the servers from outside, without SSH.

Two SMTP accounts, "a" and "b", differ in user name and password. The panel keeps its tables in a directory named after
their content; Ansible and pyinfra write main.cf and /etc/postfix/sasl_passwd, as a decent playbook does. The main.cf of
both says the same things.
"""

import hashlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gateway.postfix import paths
from tests.fleet.server import FleetServer

PEER_MAP = "/etc/postfix/sasl_passwd"


class Differs(Exception):
    """A server is not in the state a contestant was to bring it to."""


@dataclass
class Snapshot:
    """Files of one server in one state: path -> content."""

    main_cf: str
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def password(self) -> bytes:
        return next(content for path, content in self.files.items() if path.endswith("/sasl_passwd"))


def take(server: FleetServer) -> Snapshot:
    """What the panel made of this server."""
    found = {}
    for top in (paths.MAPS, paths.MANIFEST):
        for path in [inside(server, top), *inside(server, top).rglob("*")]:
            if path.is_file():
                found["/" + str(path.relative_to(server.root))] = path.read_bytes()
    return Snapshot(inside(server, paths.MAIN_CF).read_text(), found)


def peers(panel: Snapshot) -> Snapshot:
    """The same settings as a playbook writes them: one password table beside main.cf."""
    lines = []
    for line in panel.main_cf.splitlines():
        name = line.partition("=")[0].strip()
        if name == "smtp_sasl_password_maps":
            lines.append(f"{name} = texthash:{PEER_MAP}")
        elif paths.MAPS not in line:
            lines.append(line)
    return Snapshot("\n".join(lines) + "\n", {PEER_MAP: panel.password})


def put(servers: list[FleetServer], states: dict[str, Snapshot]) -> None:
    """Every server in its state, with a running Postfix that has read it."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda server: _put(server, states[server.name]), servers))


def _put(server: FleetServer, state: Snapshot) -> None:
    shutil.rmtree(inside(server, paths.MAPS), ignore_errors=True)
    inside(server, PEER_MAP).unlink(missing_ok=True)
    for path, content in {**state.files, paths.MAIN_CF: state.main_cf.encode()}.items():
        target = inside(server, path)
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True)
            target.parent.chmod(0o700)
        target.write_bytes(content)
        target.chmod(0o644 if path == paths.MAIN_CF else 0o600)
        os.utime(target, (time.time() - 3600,) * 2)  # Postfix sleeps over files changed just now
    if inside(server, paths.MAPS).is_dir():
        inside(server, paths.MAPS).chmod(0o755)
    server.run("postfix reload 2>/dev/null || postfix start")


def check(servers: list[FleetServer], states: dict[str, Snapshot]) -> None:
    """Raises Differs. The settings are read by Postfix itself, the tables compared byte by byte."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        wrong = [text for text in pool.map(lambda server: _wrong(server, states[server.name]), servers) if text]
    if wrong:
        raise Differs("; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""))


def _wrong(server: FleetServer, state: Snapshot) -> str:
    said = server.run("postconf -n; postfix status 2>&1 || echo not running", check=False).stdout
    if said.rstrip().endswith("not running"):
        return f"{server.name}: Postfix does not run"
    have = {line.strip() for line in said.splitlines() if " = " in line or line.endswith(" =")}
    lacking = sorted(settings(state.main_cf) - have)
    if lacking:
        return f"{server.name}: main.cf says otherwise than {lacking[0]!r}"
    for path, content in state.files.items():
        there = inside(server, path)
        if path != paths.MANIFEST and (not there.exists() or digest(there.read_bytes()) != digest(content)):
            return f"{server.name}: {path} has other content"
    return ""


def settings(main_cf: str) -> set[str]:
    """One "name = value" per parameter, as postconf -n prints them."""
    joined = main_cf.replace("\n ", " ").replace("\n\t", " ")
    pairs = [line.partition("=") for line in joined.splitlines() if "=" in line and not line.startswith("#")]
    return {f"{name.strip()} = {' '.join(value.split())}".rstrip() for name, _, value in pairs}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def inside(server: FleetServer, path: str):
    return server.root / path.lstrip("/")
