"""Ansible inventories as INI files."""

import json
import re
import shlex

from servers.transfer import hosts
from servers.transfer.hosts import Group, Inventory
from servers.transfer.reading import Notes, Reading, sane_lines, shown

_SECTION = re.compile(r"\[([^:\]]+)(?::(\w+))?\]\s*(?:#.*)?")
_HINT = "A section is [group], [group:children] or [group:vars]."


def read(text: str) -> Reading:
    """Raises Refused."""
    notes = Notes()
    inventory = Inventory(notes)
    group: Group | None = inventory.group("ungrouped", 0)
    kind = "hosts"
    for number, raw in enumerate(sane_lines(text, notes), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if section := _SECTION.fullmatch(line):
            name, kind = section[1].strip(), section[2] or "hosts"
            group = inventory.group(name, number)
            if kind not in ("hosts", "children", "vars"):
                notes.fault(number, "", f"There is no section kind {shown(kind)}; its lines are left out.", _HINT)
                group = None
        elif _is_broken_section(line):
            notes.fault(number, "", "This is no section; the lines below it are left out.", _HINT)
            group = None
        elif group is not None:
            _LINES[kind](inventory, group, line, number)
    found = hosts.rows(inventory)
    return Reading("ansible-ini", tuple(found), tuple(notes.found), more=notes.more)


def _is_broken_section(line: str) -> bool:
    """Neither a section nor a host in brackets, such as [2001:db8::1]."""
    if not line.startswith("["):
        return False
    return "]" not in line or (line.endswith("]") and hosts.split_port(line)[0] == line)


def _host(inventory: Inventory, group: Group, line: str, number: int) -> None:
    words = _words(line)
    if not words:
        inventory.notes.fault(number, "", "A quote opens here and is never closed.", "Close it.")
        return
    pairs = [word.partition("=") for word in words[1:]]
    for name, equals, _ in pairs:
        if not equals:
            text = f"{shown(name)} is not a variable."
            inventory.notes.fault(number, words[0][:60], text, "Variables are written name=value.")
            return
    if "=" in words[0]:
        text = f"{shown(words[0].partition('=')[0])} stands where a host is expected."
        inventory.notes.fault(number, "", text, "Begin the line with the name of a host.")
        return
    for values in inventory.host(words[0], group, number):
        for name, _, value in pairs:
            inventory.keep(values, name.strip(), _text(value), number)


def _text(value: str) -> str:
    """A value, or what the literal in it says: "two\\nlines"."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _child(inventory: Inventory, group: Group, line: str, number: int) -> None:
    group.children.setdefault(line.partition("#")[0].strip(), number)


def _variable(inventory: Inventory, group: Group, line: str, number: int) -> None:
    name, equals, value = line.partition("=")
    if not equals:
        inventory.notes.fault(number, "", f"{shown(line)} is not a variable.", "Variables are written name=value.")
        return
    words = _words(value.strip())
    whole = value.strip()
    quoted = len(words) == 1 and whole[:1] in "'\"" and whole[-1:] == whole[:1]
    inventory.keep(group.values, name.strip(), words[0] if quoted else re.sub(r"\s+#.*", "", whole), number)


_LINES = {"hosts": _host, "children": _child, "vars": _variable}


def _words(line: str) -> list[str]:
    """As a shell splits them, comments off; [] when a quote is open."""
    if not any(mark in line for mark in "\"'\\#"):
        return line.split()
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []
