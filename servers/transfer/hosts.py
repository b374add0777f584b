"""An Ansible inventory as groups, hosts and the few variables that say how a host is reached; both spellings of it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product

from servers import validators
from servers.transfer.reading import MAX_SERVERS, Notes, Problem, Refused, Row, shown, too_many

ADDRESS = ("ansible_host", "ansible_ssh_host")
PORT = ("ansible_port", "ansible_ssh_port")
USER = ("ansible_user", "ansible_ssh_user")
ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args")
OWN = ("fleetpost_tags", "fleetpost_jump", "fleetpost_note", "fleetpost_host_key")
READ = frozenset((*ADDRESS, *PORT, *USER, *ARGUMENTS, *OWN, "ansible_connection"))
_SPOILED = "?"  # no variable has this name
_SECRET = re.compile(r"pass(word|wd|phrase)?$|_pass_|secret|private_key|token", re.I)
_RANGE = re.compile(r"\[(?:(\d{1,9}):(\d{1,9})|([A-Za-z]):([A-Za-z]))(?::(\d{1,9}))?\]")
_TEMPLATE = re.compile(r"\{\{\s*(inventory_hostname|inventory_hostname_short)\s*\}\}")
_MAX_GROUPS, _MAX_MEMBERS, _MAX_DEPTH = 2_000, 100_000, 20


@dataclass
class Group:
    line: int
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


@dataclass
class Inventory:
    notes: Notes
    groups: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    members: int = 0

    def group(self, name: str, line: int) -> Group:
        if name not in self.groups and len(self.groups) == _MAX_GROUPS:
            raise Refused(Problem(line, "", f"The inventory has more than {_MAX_GROUPS:,} groups."))
        return self.groups.setdefault(name, Group(line))

    def host(self, pattern: str, group: Group, line: int) -> list[dict[str, str]]:
        """Enters every host of `pattern` into the group and gives their variables, to be filled."""
        pattern, port = split_port(pattern)
        if pattern_size(pattern) > MAX_SERVERS:
            text = f"{shown(pattern)} stands for more than {MAX_SERVERS:,} hosts."
            self.notes.fault(line, "name", text, "Write a smaller range.")
            return []
        entered = []
        for name in expand(pattern):
            if name not in self.hosts and len(self.hosts) == MAX_SERVERS:
                raise too_many(line)
            self.members += 1
            if self.members > _MAX_MEMBERS:
                raise Refused(Problem(line, "", f"The groups have more than {_MAX_MEMBERS:,} members in all."))
            group.hosts[name] = None
            values = self.hosts.setdefault(name, (line, {}))[1]
            if port:
                values["ansible_port"] = port
            entered.append(values)
        return entered

    def spoil(self, values: dict[str, str], line: int, name: str, text: str) -> None:
        """Says what is wrong with a variable we read; no host it counts for is imported."""
        self.notes.fault(line, name, text)
        values[_SPOILED] = "yes"

    def keep(self, values: dict[str, str], name: str, value: str, line: int) -> None:
        """Notes a variable when it is one we read; a secret is named, never kept."""
        if name in READ:
            values[name] = value
        elif _SECRET.search(name):
            self.notes.notice(line, name[:60], "Passwords and keys are not imported; the value was not read.")


def split_port(pattern: str) -> tuple[str, str]:
    """("web", "2222") of "web:2222" and "[2001:db8::1]:2222"; a bare IPv6 address keeps its colons."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", pattern)
    if found and not _RANGE.fullmatch(found[1]):
        return found[1][1:-1], found[2] or ""
    bare = _RANGE.sub("", pattern)
    if bare.count(":") == 1 and (found := re.fullmatch(r"(.+):(\d{1,5})", pattern)):
        return found[1], found[2]
    return pattern, ""


def pattern_size(pattern: str) -> int:
    size = 1
    for found in _RANGE.finditer(pattern):
        size *= len(_values(found))
    return size


def expand(pattern: str) -> Iterator[str]:
    """web[01:03] -> web01, web02, web03; letters and steps as Ansible has them."""
    pieces, at = [], 0
    for found in _RANGE.finditer(pattern):
        numbers = _values(found)
        pad = len(found[1]) if found[1] and found[1].startswith("0") else 0
        pieces += [[pattern[at : found.start()]], [f"{n:0{pad}d}" if found[1] else chr(n) for n in numbers]]
        at = found.end()
    for chosen in product(*pieces, [pattern[at:]]):
        yield "".join(chosen)


def _values(found: re.Match) -> range:
    first, last = (int(found[1]), int(found[2])) if found[1] else (ord(found[3]), ord(found[4]))
    return range(first, last + 1, max(int(found[5] or 1), 1))


def rows(inventory: Inventory) -> list[Row]:
    notes, groups = inventory.notes, inventory.groups
    parents = _parents(inventory)

    @cache
    def above(name: str) -> frozenset[str]:
        return frozenset((name,)).union(*(above(parent) for parent in parents.get(name, ())))

    @cache
    def depth(name: str) -> int:
        return max((depth(parent) + 1 for parent in parents.get(name, ())), default=0)

    _refuse_loops(inventory, parents)
    of_host: dict[str, set[str]] = {name: set() for name in inventory.hosts}
    for name, group in groups.items():
        for host in group.hosts:
            of_host[host] |= above(name)
    common = groups["all"].values if "all" in groups else {}
    found = []
    for host, (line, own) in inventory.hosts.items():
        mine = sorted(of_host[host] - {"all", "ungrouped"}, key=lambda name: (depth(name), name))
        values = dict(common)
        for name in mine:
            values |= groups[name].values
        if (row := _row(host, line, values | own, mine, notes)) is not None:
            found.append(row)
    return found


def _parents(inventory: Inventory) -> dict[str, list[str]]:
    parents: dict[str, list[str]] = {}
    for name, group in list(inventory.groups.items()):
        for child, line in group.children.items():
            if child not in inventory.groups:
                inventory.notes.fault(
                    line, "group", f"There is no group {shown(child)}.", "Define it, or drop the line."
                )
            elif name != "all":
                parents.setdefault(child, []).append(name)
    return parents


def _refuse_loops(inventory: Inventory, parents: dict[str, list[str]]) -> None:
    """Raises Refused for a group inside itself and for nesting nobody wrote by hand."""
    rank: dict[str, int] = {}
    level = [name for name in inventory.groups if not parents.get(name)]
    waiting = {name: len(set(above)) for name, above in parents.items()}
    below: dict[str, set[str]] = {}
    for child, above in parents.items():
        for parent in above:
            below.setdefault(parent, set()).add(child)
    rank.update(dict.fromkeys(level, 0))
    while level:
        name = level.pop()
        for child in below.get(name, ()):
            rank[child] = max(rank.get(child, 0), rank[name] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                level.append(child)
    looped = [name for name, left in waiting.items() if left]
    if looped:
        group = inventory.groups[looped[0]]
        raise Refused(Problem(group.line, "group", f"The group {shown(looped[0])} contains itself."))
    if deep := [name for name, at in rank.items() if at > _MAX_DEPTH]:
        group = inventory.groups[deep[0]]
        raise Refused(Problem(group.line, "group", f"Groups are nested more than {_MAX_DEPTH} deep."))


def _row(host: str, line: int, values: dict[str, str], groups: list[str], notes: Notes) -> Row | None:
    if _SPOILED in values:
        return None
    connection = values.get("ansible_connection", "ssh")
    if connection not in ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"):
        notes.notice(line, "ansible_connection", f"{shown(host)} is reached by {shown(connection)}, not SSH: left out.")
        return None
    values = {name: value if name in OWN else _known_templates(value, host) for name, value in values.items()}
    for name, value in values.items():
        if name not in OWN and ("{{" in value or "{%" in value):
            notes.fault(line, name, "Templates are not evaluated.", "Write the value itself.")
            return None
    if "fleetpost_tags" in values:
        tags = tuple(tag for tag in re.split(r"[\s,]+", values["fleetpost_tags"]) if tag)
    else:
        tags = _group_tags(groups, line, notes)
    return Row(
        line,
        name=host,
        address=_first(values, ADDRESS),
        port=_first(values, PORT),
        user=_first(values, USER),
        tags=tags,
        jump=values["fleetpost_jump"] if "fleetpost_jump" in values else _jump(values, line, notes),
        note=values.get("fleetpost_note", ""),
        host_key=values.get("fleetpost_host_key", ""),
    )


def _known_templates(value: str, host: str) -> str:
    return _TEMPLATE.sub(lambda found: host.split(".")[0] if found[1].endswith("short") else host, value)


def _first(values: dict[str, str], names: tuple[str, ...]) -> str:
    return next((values[name] for name in names if values.get(name)), "")


def _group_tags(groups: list[str], line: int, notes: Notes) -> tuple[str, ...]:
    fit = []
    for name in groups:
        try:
            validators.tag(name.lower())
        except validators.ValidationError:
            notes.notice(line, "tags", f"The group {shown(name)} does not make a tag: left out.")
        else:
            fit.append(name.lower())
    return tuple(fit)


def _jump(values: dict[str, str], line: int, notes: Notes) -> str:
    text = " ".join(values[name] for name in ARGUMENTS if name in values)
    try:
        words = iter(shlex.split(text))
    except ValueError:
        notes.notice(line, "ansible_ssh_common_args", "A quote is never closed; the SSH arguments were not read.")
        return ""
    for word in words:
        if word.startswith("-J"):
            return last_jump(word[2:] or next(words, ""), line, notes)
        if word.startswith("-o"):
            name, _, value = re.sub(r"[\s=]+", "=", (word[2:] or next(words, "")).strip(), count=1).partition("=")
            if name.lower() == "proxyjump":
                return last_jump(value, line, notes)
            if name.lower() == "proxycommand":
                notes.notice(line, "jump", "ProxyCommand is not read.", "Choose the jump server after the import.")
    return ""


def last_jump(value: str, line: int, notes: Notes) -> str:
    """Of several jumps in a row the one nearest to the server."""
    value = value.strip()
    if value.lower() == "none":
        return ""
    if "," in value:
        text = f"Of the jump servers {shown(value)} only the last was taken."
        notes.notice(line, "jump", text, "Give that one its own jump server.")
    return value.rpartition(",")[2].strip()
