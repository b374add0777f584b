"""Servers as text that the readers, and the tools a format belongs to, read as it was meant. Never a secret."""

import csv
import io
import json
import re
from collections.abc import Iterable

import yaml

from servers.transfer.cells import safe
from servers.transfer.delimited import FIELDS
from servers.transfer.reading import Row

_GROUP = re.compile(r"[^A-Za-z0-9_]")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+,-]+")


def to_csv(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FIELDS)
    for row in rows:
        values = (" ".join(row.tags) if name == "tags" else getattr(row, name) for name in FIELDS)
        writer.writerow([safe(value) for value in values])
    return out.getvalue()


def to_ansible_ini(rows: Iterable[Row]) -> str:
    rows = list(rows)
    by_name = {row.name: row for row in rows}
    lines = []
    for row in rows:
        pairs = [f"{name}={_ini_value(value)}" for name, value in _variables(row, by_name).items()]
        lines.append(" ".join([row.name, *pairs]))
    for group, names in _groups(rows).items():
        lines += ["", f"[{group}]", *names]
    return "\n".join(lines) + "\n"


def to_ansible_yaml(rows: Iterable[Row]) -> str:
    rows = list(rows)
    by_name = {row.name: row for row in rows}
    whole: dict = {"hosts": {row.name: _variables(row, by_name) for row in rows}}
    if groups := _groups(rows):
        whole["children"] = {group: {"hosts": dict.fromkeys(names)} for group, names in groups.items()}
    return yaml.dump({"all": whole}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def to_ssh_config(rows: Iterable[Row]) -> str:
    blocks = []
    for row in rows:
        lines = [f"Host {row.name}", f"    HostName {row.address}", f"    Port {row.port}", f"    User {row.user}"]
        lines += [f"    ProxyJump {row.jump}"] * bool(row.jump) + [f"    # Tags: {' '.join(row.tags)}"] * bool(row.tags)
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    """No aliases, and an address or a port is never mistaken for another type."""

    def ignore_aliases(self, data) -> bool:
        return True


def _variables(row: Row, by_name: dict[str, Row]) -> dict[str, str | int]:
    values: dict[str, str | int] = {
        "ansible_host": row.address,
        "ansible_port": int(row.port),
        "ansible_user": row.user,
    }
    if row.jump:
        jump = by_name.get(row.jump)
        place = f"{jump.user}@{_bracketed(jump.address)}:{jump.port}" if jump else row.jump
        values["ansible_ssh_common_args"] = f"-o ProxyJump={place}"
        values["fleetpost_jump"] = row.jump
    if any(_GROUP.sub("_", tag) != tag or tag in _RESERVED or tag[0].isdigit() for tag in row.tags):
        values["fleetpost_tags"] = ",".join(row.tags)
    if row.note:
        values["fleetpost_note"] = row.note
    if row.host_key:
        values["fleetpost_host_key"] = row.host_key
    return values


_RESERVED = ("all", "ungrouped")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _groups(rows: list[Row]) -> dict[str, list[str]]:
    """Tags as names Ansible takes for groups; the exact ones stand in fleetpost_tags where they differ."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for tag in row.tags:
            name = _GROUP.sub("_", tag)
            name = f"tag_{name}" if name in _RESERVED or name[0].isdigit() else name
            names = found.setdefault(name, [])
            if row.name not in names[-1:]:
                names.append(row.name)
    return dict(sorted(found.items()))


def _ini_value(value: str | int) -> str:
    """In double quotes with what shlex understands. Text of several lines becomes a literal; Ansible evaluates it."""
    text = str(value)
    if "\n" in text or text.startswith('"'):
        text = json.dumps(text)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
