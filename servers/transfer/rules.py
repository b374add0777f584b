"""Which rows of a file become servers. Decides from the rows and what the panel has; touches neither."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.core.exceptions import ValidationError

from servers import validators
from servers.transfer.reading import MAX_SERVERS, Notes, Problem, Row, shown

KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
MAX_TAGS = 50
_PLACE = re.compile(r"(?:ssh://)?(?:([^@\s]+)@)?(\[[^\]]+\]|[^:\s]+)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Present:
    """A server the panel has. `jump`: the name of its jump server."""

    name: str
    address: str
    port: int
    jump: str = ""
    archived: bool = False


@dataclass(frozen=True)
class Judged:
    """add: rows in one spelling, user and port filled in, `jump` the name of a server, parents anywhere in the list.
    there: (row, name of the server that is already there, archived or not)."""

    add: tuple[Row, ...]
    there: tuple[tuple[Row, str, bool], ...]
    problems: tuple[Problem, ...]
    more: int = 0


@dataclass
class _Book:
    """Names and places that are taken, by the panel (line 0) or by an earlier line."""

    present: dict[str, Present]
    lines: dict[str, int] = field(default_factory=dict)
    places: dict[tuple, tuple[int, str]] = field(default_factory=dict)
    doors: dict[tuple, str] = field(default_factory=dict)  # address and port alone, whatever the way there


def judge(rows: Iterable[Row], present: Iterable[Present], *, user: str, max_jumps: int) -> Judged:
    """user: who signs in where the file does not say. A server that is there, by name or by place, is left alone."""
    notes = Notes()
    book = _Book({server.name.lower(): server for server in present})
    for server in book.present.values():
        book.places.setdefault((server.address, server.port, server.jump.lower()), (0, server.name))
        book.doors.setdefault((server.address, str(server.port)), server.name)
    rows = list(rows)[:MAX_SERVERS]
    tidy = [row for row in (_tidied(row, user, notes) for row in rows) if row is not None]
    tidy = _resolved(tidy, book, notes)
    add, there = [], []
    for row in tidy:
        if (known := book.present.get(row.name.lower())) is not None:
            there.append((row, known.name, known.archived))
            continue
        line, other = book.places.get((row.address, int(row.port), row.jump.lower()), (0, ""))
        if row.name.lower() in book.lines:
            text = f"The name {row.name} stands in line {book.lines[row.name.lower()]} already."
            notes.fault(row.line, "name", text, "Each server has a name of its own.")
        elif other and line:
            text = f"{row.address} port {row.port} is {other} in line {line} already."
            notes.fault(row.line, "address", text, "Leave out one of the two.")
        elif other:
            there.append((row, other, book.present[other.lower()].archived))
        else:
            if (twin := book.doors.setdefault((row.address, row.port), row.name)) != row.name:
                text = f"{row.name} has the address and port of {twin}, by another way."
                notes.notice(row.line, "address", text, "Leave it out if the two are one machine.")
            book.lines[row.name.lower()] = row.line
            book.places[row.address, int(row.port), row.jump.lower()] = row.line, row.name
            add.append(row)
    add = _reachable(add, there, book, notes, max_jumps)
    return Judged(tuple(add), tuple(there), tuple(notes.found), notes.more)


def _tidied(row: Row, user: str, notes: Notes) -> Row | None:
    """The row in one spelling, or None when a field of it breaks a rule; every broken one is named."""
    address = validators.normal_address(row.address or row.name)
    name = row.name.strip(" ")
    own_address = bool(row.address) or validators.is_ip_address(name)
    if not name or validators.is_ip_address(name):
        name = re.sub(r"[.:]+", "-", address).strip("-") if validators.is_ip_address(address) else name or address
    tags = tuple(dict.fromkeys(tag.lower() for tag in row.tags))
    row = replace(row, name=name, address=address, user=row.user.strip(" ") or user, tags=tags)
    row = replace(row, port=row.port.strip(" ") or "22", note=row.note.replace("\r\n", "\n"))
    good = _fits(row, "name", validators.server_name, row.name, notes)
    if own_address:
        good &= _fits(row, "address", validators.address, row.address, notes)
    good &= _fits(row, "port", _port, row.port, notes)
    good &= _fits(row, "user", validators.posix_user, row.user, notes)
    good &= all(_fits(row, "tags", validators.tag, tag, notes) for tag in tags[:MAX_TAGS])
    good &= _fits(row, "tags", _few, tags, notes)
    good &= _fits(row, "note", _note, row.note, notes)
    good &= _fits(row, "host_key", _host_key, row.host_key, notes)
    if not good:
        return None
    return replace(row, port=str(int(row.port)), host_key=" ".join(row.host_key.split()[:2]))


def _fits(row: Row, name: str, rule, value, notes: Notes) -> bool:
    try:
        rule(value)
    except ValidationError as error:
        text = f"{shown(value)} does not fit." if isinstance(value, str) and value else "The value does not fit."
        if value == "":
            text = "The value is missing."
        notes.fault(row.line, name, text, " ".join(error.messages))
        return False
    return True


def _port(value: str) -> None:
    if not re.fullmatch(r"[0-9]{1,5}", value):
        raise ValidationError("A port is a number from 1 to 65535.")
    validators.port(int(value))


def _few(tags: tuple[str, ...]) -> None:
    if len(tags) > MAX_TAGS:
        raise ValidationError(f"A server has at most {MAX_TAGS} tags; this one has {len(tags):,}.")


def _note(value: str) -> None:
    if len(value) > 2000:
        raise ValidationError("A note has at most 2,000 characters.")
    validators.note(value)


def _host_key(value: str) -> None:
    """`kind body`, a comment after it or not, as in /etc/ssh/ssh_host_*_key.pub: the body says the same kind itself."""
    if not value:
        return
    words = value.split()
    message = "A host key is the line of its .pub file: ssh-ed25519 AAAA…"
    if len(words) < 2 or words[0] not in KEY_KINDS:
        raise ValidationError(message)
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValidationError(f"{message} This one is not whole.") from error
    kind = words[0].encode()
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind) or len(blob) < len(kind) + 4 + 32 or len(blob) > 4096:
        raise ValidationError(f"{message} This one is not whole.")


def _resolved(rows: list[Row], book: _Book, notes: Notes) -> list[Row]:
    """`jump` as the name of a server of the file or the panel; rows that name none of them are left out."""
    names = {row.name.lower(): row.name for row in reversed(rows)}
    names |= {lower: server.name for lower, server in book.present.items()}
    for row in rows:
        _, other = book.places.get((row.address, int(row.port), ""), (0, ""))
        if other and not row.jump and row.name.lower() not in book.present:
            names[row.name.lower()] = other  # the panel has it under another name
    at: dict[tuple[str, int], str] = {}
    for server in book.present.values():
        at.setdefault((server.address, server.port), server.name)
    for row in rows:
        at.setdefault((row.address, int(row.port)), row.name)
    kept = []
    for row in rows:
        if not row.jump:
            kept.append(row)
            continue
        found = names.get(row.jump.lower()) or _by_place(row.jump, names, at)
        if found:
            kept.append(replace(row, jump=found))
        else:
            text = f"{shown(row.jump)} is no server of this file or of the panel."
            notes.fault(row.line, "jump", text, "Add a line for the jump server, or take it out here.")
    return kept


def _by_place(jump: str, names: dict[str, str], at: dict[tuple[str, int], str]) -> str:
    found = _PLACE.fullmatch(jump)
    if not found:
        return ""
    address, port = validators.normal_address(found[2]), int(found[3] or 22)
    if (address, port) in at:
        return at[address, port]
    return names.get(found[2].lower(), "")


def _reachable(add: list[Row], there: list, book: _Book, notes: Notes, max_jumps: int) -> list[Row]:
    """Rows whose way leads to the end: no loop, not too long, no archived or faulty server on it."""
    parents = {lower: (server.jump, server.archived) for lower, server in book.present.items()}
    instead = {row.name.lower(): name for row, name, _ in there}
    add = [replace(row, jump=instead.get(row.jump.lower(), row.jump)) for row in add]
    while True:
        ways = parents | {row.name.lower(): (row.jump, False) for row in add}
        kept = [row for row in add if not (problem := _way_problem(row, ways, max_jumps)) or _told(row, problem, notes)]
        if len(kept) == len(add):
            return add
        add = kept


def _told(row: Row, problem: str, notes: Notes) -> bool:
    notes.fault(row.line, "jump", problem, "Choose another jump server.")
    return False


def _way_problem(row: Row, ways: dict[str, tuple[str, bool]], max_jumps: int) -> str:
    jump, above = row.jump, 0
    while jump:
        above += 1
        if jump.lower() == row.name.lower():
            return "A server cannot be reached through itself."
        if above > max_jumps:
            return f"At most {max_jumps} jump servers stand in a row."
        if jump.lower() not in ways:
            return f"The jump server {jump} cannot be added itself."
        jump, archived = ways[jump.lower()]
        if archived:
            return f"{row.jump} is archived, or a server on the way to it."
    return ""
