"""CSV: comma, semicolon or tab, with or without headings, as spreadsheets and people write it."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from servers import validators
from servers.transfer.cells import unsafe
from servers.transfer.reading import MAX_SERVERS, Column, Notes, Reading, Row, sane_lines, shown, too_many

FIELDS = ("name", "address", "port", "user", "tags", "jump", "note", "host_key")
LABELS = {
    "name": "Name",
    "address": "Address",
    "port": "Port",
    "user": "User name",
    "tags": "Tags",
    "jump": "Jump server",
    "note": "Note",
    "host_key": "Host key",
}
KNOWN = {
    "name": ("name", "server", "server name", "host name", "hostname", "host", "inventory hostname", "alias"),
    "address": (
        *("address", "ip", "ip address", "ipv4", "ipv6", "ansible host", "ansible ssh host", "fqdn", "dns name"),
        *("public ip", "hostname", "host name", "host"),
    ),
    "port": ("port", "ssh port", "ansible port", "ansible ssh port"),
    "user": ("user", "user name", "username", "ssh user", "ansible user", "ansible ssh user", "login"),
    "tags": ("tags", "tag", "groups", "group", "labels"),
    "jump": ("jump", "jump server", "jump host", "jumphost", "proxyjump", "proxy jump", "bastion"),
    "note": ("note", "notes", "comment", "description"),
    "host_key": ("host key", "hostkey", "ssh host key"),
}
SECRET = re.compile(r"(pass|password|passwd|passwort|passphrase|kennwort|pwd|secret|token|private key|api key)s?\b")
_QUOTED_LINES = 50  # a cell with more lines is a quote somebody forgot to close
_MAX_COLUMNS = 200


@dataclass(frozen=True)
class Table:
    """titles: empty when the file has no headings. rows: (line, cells); cells of secret columns are empty."""

    titles: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    secret: frozenset[int]

    @property
    def width(self) -> int:
        return max([len(self.titles), *(len(cells) for _, cells in self.rows)], default=0)


def read(text: str, mapping: Mapping[str, int] | None = None, headings: bool | None = None) -> Reading:
    """mapping: {field: column number from 0}; without one the headings decide. Raises Refused."""
    notes = Notes()
    found = table(text, notes, headings)
    return rows_of(found, mapping, notes)


def table(text: str, notes: Notes, headings: bool | None = None) -> Table:
    lines = sane_lines(text, notes)
    start, delimiter = _dialect(lines)
    records: list[tuple[int, tuple[str, ...]]] = []
    titles: tuple[str, ...] | None = None
    secret: frozenset[int] = frozenset()
    for line, cells in _records(lines, start, delimiter, notes):
        if titles is None:
            titles = _titles(cells) if (_has_headings(cells) if headings is None else headings) else ()
            secret = frozenset(at for at, title in enumerate(titles) if SECRET.search(_plain(title)))
            if titles:
                continue
        if len(records) == MAX_SERVERS:
            raise too_many(line)
        records.append((line, tuple("" if at in secret else cell for at, cell in enumerate(cells))))
    for at in sorted(secret):
        notes.notice(start + 1, titles[at], "Passwords and keys are not imported; the column was not read.")
    return Table(titles or (), tuple(records), secret)


def rows_of(found: Table, mapping: Mapping[str, int] | None, notes: Notes) -> Reading:
    mapping = guess(found.titles) if mapping is None else dict(mapping)
    mapping = {name: at for name, at in mapping.items() if name in FIELDS and at not in found.secret}
    rows = []
    for at, title in enumerate(found.titles[:_MAX_COLUMNS]):
        if at not in found.secret and at not in mapping.values():
            notes.notice(0, title[:60], "The column is not read.")
    if "name" not in mapping and "address" not in mapping and found.rows:
        notes.fault(0, "", "No column is known as the name or the address of a server.", "Say which column is which.")
    else:
        for line, cells in found.rows:
            if found.titles and any(cells[len(found.titles) :]):
                text = f"The line has {len(cells)} cells, the headings have {len(found.titles)}."
                notes.fault(line, "", text, "Put a cell that holds the separator in quotes.")
                continue
            rows.append(_row(line, {name: cells[at] for name, at in mapping.items() if at < len(cells)}))
    return Reading("csv", tuple(rows), tuple(notes.found), _columns(found, mapping), notes.more)


def guess(titles: Sequence[str]) -> dict[str, int]:
    """Which column is which, by the names people give them; each column once."""
    plain, mapping = [_plain(title) for title in titles], {}
    for name in FIELDS:
        for known in KNOWN[name]:
            free = [at for at, title in enumerate(plain) if title == known and at not in mapping.values()]
            if free and name not in mapping:
                mapping[name] = free[0]
    return mapping


def _row(line: int, cells: dict[str, str]) -> Row:
    values = {name: cell if name == "note" else cell.strip() for name, cell in cells.items()}
    tags = tuple(tag for tag in re.split(r"[\s,;|]+", values.pop("tags", "")) if tag)
    return Row(line, tags=tags, **values)


def _columns(found: Table, mapping: dict[str, int]) -> tuple[Column, ...]:
    fields = {at: name for name, at in mapping.items()}
    columns = []
    for at in range(min(found.width, _MAX_COLUMNS)):
        title = found.titles[at] if at < len(found.titles) else f"Column {at + 1}"
        samples = tuple(cells[at][:40] for _, cells in found.rows[:3] if at < len(cells) and cells[at])
        columns.append(Column(title[:80], samples, fields.get(at, ""), at in found.secret))
    return tuple(columns)


def _dialect(lines: list[str]) -> tuple[int, str]:
    """Where the records begin, and the separator under which the first line makes most sense."""
    start = next((at for at, line in enumerate(lines) if line.strip()), 0)
    first = lines[start] if lines else ""
    if declared := re.fullmatch(r"\s*sep=([,;\t|])\s*", first):  # Excel's own way to say it
        return start + 1, declared[1]

    def sense(delimiter: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([first], delimiter=delimiter), [])
        except csv.Error:
            return 0, 0
        return len(guess(cells)), len(cells)

    return start, max((",", ";", "\t", "|"), key=sense)


def _records(lines: list[str], start: int, delimiter: str, notes: Notes) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every record. A record that does not parse costs its own first line, not those after it."""
    at = start
    while at < len(lines):
        if not lines[at].strip(" \t" + delimiter):
            at += 1
            continue
        end = min(at + _QUOTED_LINES, len(lines))
        reader = csv.reader((lines[n] + "\n" for n in range(at, end)), delimiter=delimiter, strict=True)
        try:
            cells = next(reader)
        except csv.Error as error:
            notes.fault(at + 1, "", *_explained(str(error)))
            at += 1
            continue
        if len(cells) > _MAX_COLUMNS:
            notes.fault(at + 1, "", f"The line has {len(cells):,} cells.", f"At most {_MAX_COLUMNS} are read.")
        else:
            yield at + 1, [unsafe(cell) for cell in cells]
        at += reader.line_num


def _explained(error: str) -> tuple[str, str]:
    if "unexpected end of data" in error:
        return "A quote opens here and is never closed.", "Close it, or write a quote inside a cell twice."
    if "field larger than" in error:
        return "A cell is too long.", "Shorten it."
    return "Something stands between a closing quote and the separator.", "Write a quote inside a cell twice."


def _has_headings(cells: list[str]) -> bool:
    """A first line with a word we know, or without anything that looks like an address."""
    if guess(cells):
        return True
    return len(cells) > 1 and not any(
        validators.is_ip_address(cell.strip()) or ("." in cell.strip() and validators.is_host_name(cell.strip()))
        for cell in cells
    )


def _titles(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip() or f"Column {at + 1}" for at, cell in enumerate(cells))


def _plain(title: str) -> str:
    return re.sub(r"[\s_./-]+", " ", title).strip().lower()


def mapping_from(pairs: Mapping[str, str], titles: Sequence[str]) -> dict[str, int]:
    """{field: heading or column number from 1} as typed -> {field: column number from 0},
    beside those the headings say. Raises ValueError."""
    mapping, plain = {}, [_plain(title) for title in titles]
    for name, column in pairs.items():
        if name not in FIELDS:
            raise ValueError(f"There is no field {shown(name)}. Fields: {', '.join(FIELDS)}.")
        if _plain(column) in plain:
            mapping[name] = plain.index(_plain(column))
        elif column.isascii() and column.isdigit() and int(column) >= 1:
            mapping[name] = int(column) - 1
        else:
            raise ValueError(f"The file has no column {shown(column)}.")
    guessed = {name: at for name, at in guess(titles).items() if at not in mapping.values()}
    return guessed | mapping
