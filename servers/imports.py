"""Bringing many servers in: what a file says, what would come of it, and doing it, all or nothing.

An import changes no server that is there. Between the dry run and the yes a draft waits in the cache for an hour: the
parsed rows and never the file, which may hold passwords."""

import json
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from servers import sshkeys, trust, validators
from servers.models import MAX_JUMPS, Server, Tag
from servers.remote.host import PinnedKey
from servers.transfer import delimited, formats, rules
from servers.transfer.reading import Column, Notes, Problem, Reading, Refused, Row, to_text

KEPT_SECONDS = 3600
_BATCH = 500


@dataclass
class Draft:
    """A file as read, and what was chosen about it. `table` and `mapping`: of a CSV file only."""

    kind: str
    source: str
    user: str = "root"
    tag: str = ""
    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    more: int = 0
    table: delimited.Table | None = None
    mapping: dict[str, int] | None = None
    token: str = field(default_factory=lambda: str(uuid.uuid4()))

    def reading(self) -> Reading:
        if self.table is None:
            return Reading(self.kind, self.rows, self.problems, more=self.more)
        return delimited.rows_of(self.table, self.mapping, Notes(list(self.problems), self.more))

    def judged(self) -> tuple[tuple[Column, ...], rules.Judged]:
        """(columns of a CSV file, what would come of it now). The problems are those of reading and of judging."""
        reading = self.reading()
        judged = rules.judge(reading.rows, present(), user=self.user, max_jumps=MAX_JUMPS)
        tagged = tuple(replace(row, tags=(*row.tags, self.tag)) for row in judged.add) if self.tag else judged.add
        problems = sorted((*reading.problems, *judged.problems), key=lambda problem: problem.line)
        more = reading.more + judged.more
        return reading.columns, replace(judged, add=tagged, problems=tuple(problems), more=more)

    @property
    def usable(self) -> bool:
        return bool(self.rows or (self.table and self.table.rows))


def draft(
    data: bytes | str,
    kind: str = formats.AUTO,
    *,
    source: str = "",
    user: str = "root",
    tag: str = "",
    columns: Mapping[str, str] | None = None,
) -> Draft:
    """columns: {field: heading or number from 1} for a CSV file whose headings say nothing. Raises ValueError for
    columns the file does not have, and ValidationError for user and tag."""
    validators.posix_user(user)
    if tag:
        validators.tag(tag)
    made = Draft(kind, source, user, tag)
    _fill(made, data, columns)
    if not made.usable and all(problem.notice for problem in made.problems):
        made.problems += (Problem(0, "", "There is no server in the file."),)
    return made


def _fill(made: Draft, data: bytes | str, columns: Mapping[str, str] | None) -> None:
    try:
        text = to_text(data)
        made.kind = formats.recognise(text) if made.kind == formats.AUTO else made.kind
        if made.kind == "csv":
            notes = Notes()
            made.table = delimited.table(text, notes)
            made.problems, made.more = tuple(notes.found), notes.more
            made.mapping = delimited.mapping_from(columns, made.table.titles) if columns else None
            return
    except Refused as refused:
        made.problems = refused.problems
        return
    reading = formats.read(text, made.kind)
    made.rows, made.problems, made.more = reading.rows, reading.problems, reading.more


def present() -> list[rules.Present]:
    rows = Server.objects.order_by().values_list("name", "address", "port", "jump__name", "archived_at")
    return [rules.Present(name, address, port, jump or "", bool(gone)) for name, address, port, jump, gone in rows]


def keep(made: Draft, owner: User) -> None:
    document = asdict(made)
    if made.table:
        document["table"] = {"titles": made.table.titles, "rows": made.table.rows, "secret": sorted(made.table.secret)}
    cache.set(_key(made.token, owner), zlib.compress(json.dumps(document).encode()), KEPT_SECONDS)


def find(token, owner: User) -> Draft | None:
    """The draft, for the person who made it."""
    if (packed := cache.get(_key(token, owner))) is None:
        return None
    values = json.loads(zlib.decompress(packed))
    values["rows"] = tuple(Row(**{**row, "tags": tuple(row["tags"])}) for row in values["rows"])
    values["problems"] = tuple(Problem(**problem) for problem in values["problems"])
    if table := values["table"]:
        rows = tuple((line, tuple(cells)) for line, cells in table["rows"])
        values["table"] = delimited.Table(tuple(table["titles"]), rows, frozenset(table["secret"]))
    return Draft(**values)


def finish(made: Draft, servers: Iterable[Server], owner: User) -> None:
    """The draft is done: in its place stands what came of it."""
    cache.delete(_key(made.token, owner))
    cache.set(
        _key(made.token, owner, "done"), {"servers": [server.pk for server in servers], "tag": made.tag}, KEPT_SECONDS
    )


def result(token, owner: User) -> dict | None:
    """{"servers": [ids], "tag"} of a finished import."""
    return cache.get(_key(token, owner, "done"))


def _key(token, owner: User, what: str = "draft") -> str:
    return f"import:{what}:{owner.pk}:{token}"


def add_many(rows: Iterable[Row], *, by: User | str | None, source: str = "") -> list[Server]:
    """Adds rows as `rules.judge` settled them, all of them or none, in a number of statements that grows by one for
    hundreds. They sign in with the panel's own key. Raises ValidationError when one does not fit, or no longer."""
    rows = list(rows)
    with transaction.atomic():
        judged = rules.judge(rows, present(), user="root", max_jumps=MAX_JUMPS)
        if len(judged.add) != len(rows):
            raise ValidationError(_changed(judged))
        servers = _made(judged.add, by)
        try:
            with transaction.atomic():
                Server.objects.bulk_create(servers, batch_size=_BATCH)
        except IntegrityError as error:
            raise ValidationError("A server with one of these names was added a moment ago. Look again.") from error
        _tag(zip(servers, judged.add, strict=True))
        audit.record_many(by, "imported", servers, source=source[:200])
        pins = [(server, _pin(row)) for server, row in zip(servers, judged.add, strict=True) if row.host_key]
        trust.pin_many(pins, by=by)
    return servers


def _changed(judged: rules.Judged) -> str:
    if judged.problems:
        return str(judged.problems[0])
    row, name, _ = judged.there[0]
    return f"{row.name} is there by now, as {name}. Nothing was added."


def _made(rows: Iterable[Row], by: User | str | None) -> list[Server]:
    key, now = sshkeys.panel_key(by=by), timezone.now()
    servers = {
        row.name.lower(): Server(
            name=row.name,
            address=row.address,
            port=int(row.port),
            user=row.user,
            ssh_key=key,
            sudo=Server.Sudo.NONE if row.user == "root" else Server.Sudo.NOPASSWD,
            note=row.note,
            created_at=now,
        )
        for row in rows
    }
    outside = {row.jump.lower() for row in rows if row.jump} - servers.keys()
    known = {server.name.lower(): server for server in Server.objects.live().only("name")} if outside else {}
    for row in rows:
        if row.jump:
            lower = row.jump.lower()
            servers[row.name.lower()].jump_id = (servers.get(lower) or known[lower]).pk
    return list(servers.values())


def _tag(pairs: Iterable[tuple[Server, Row]]) -> None:
    wanted = [(server.pk, name) for server, row in pairs for name in row.tags]
    names = {name for _, name in wanted}
    Tag.objects.bulk_create([Tag(name=name) for name in sorted(names)], ignore_conflicts=True)
    ids = dict(Tag.objects.filter(name__in=names).values_list("name", "pk"))
    link = Server.tags.through
    links = [link(server_id=server, tag_id=ids[name]) for server, name in wanted]
    link.objects.bulk_create(links, batch_size=_BATCH)


def _pin(row: Row) -> PinnedKey:
    kind, body = row.host_key.split()
    return PinnedKey(kind, body)


def columns_chosen(fields: Mapping[int, str]) -> dict[str, int]:
    """{column: field} of the page -> {field: column}. Raises ValidationError when a field is chosen twice."""
    mapping: dict[str, int] = {}
    for at, name in fields.items():
        if name not in delimited.FIELDS:
            continue
        if name in mapping:
            raise ValidationError(f"Two columns are chosen as {delimited.LABELS[name].lower()}: choose one.")
        mapping[name] = at
    return mapping
