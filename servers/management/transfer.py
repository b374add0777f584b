"""manage.py fleet import and fleet export: the same dry run, the same files as on the pages."""

import sys
from pathlib import Path

from servers import exports, imports
from servers.management import console
from servers.models import Server
from servers.transfer import formats
from servers.transfer.reading import MAX_BYTES


def add_verbs(verbs) -> None:
    bring = verbs.add_parser("import", help="what a file of servers would add; with --yes, add them")
    bring.add_argument(
        "file", metavar="FILE", help="CSV, Ansible inventory or OpenSSH configuration; - is standard input"
    )
    bring.add_argument("--format", choices=[formats.AUTO, *formats.FORMATS], default=formats.AUTO)
    bring.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="a CSV column by its heading or number from 1",
    )
    bring.add_argument("--user", default="root", help="user name where the file does not say one")
    bring.add_argument("--tag", default="", help="a tag for all of them")
    bring.add_argument("--yes", action="store_true", help="add the servers; without it nothing is added")
    bring.add_argument("--json", action="store_true")
    console.add_actor(bring)
    take = verbs.add_parser("export", help="servers as a file that can be imported again, without any secret")
    take.add_argument("--format", choices=list(formats.FORMATS), default="csv")
    take.add_argument("--tag", action="append", default=[], help="only servers with this tag")


def do_import(command, options) -> int:
    """0 when every line is good; with --yes the good ones are added, whatever else the file holds."""
    made = _draft(options)
    _, judged = made.judged()
    added = []
    if options["yes"] and judged.add:
        by = console.actor(options["actor"]) or console.COMMAND_LINE
        added = imports.add_many(judged.add, by=by, source=made.source)
    faults = [problem for problem in judged.problems if not problem.notice]
    if options["json"]:
        console.print_json(_document(made, judged, added), command.stdout)
    else:
        command.stdout.write("\n".join(_lines(judged, added, options["yes"])))
    return console.NOT_ALL if faults else console.OK


def do_export(command, options) -> int:
    servers = Server.objects.live()
    if options["tag"]:
        tagged = servers.filter(tags__name__in=[tag.lower() for tag in options["tag"]])
        servers = Server.objects.filter(pk__in=tagged.order_by().values("pk"))
    command.stdout.write(formats.write(exports.rows(servers), options["format"]), ending="")
    return console.OK


def _draft(options) -> imports.Draft:
    pairs = [pair.partition("=") for pair in options["map"]]
    if any(not equals for _, equals, _ in pairs):
        raise console.Usage("--map takes FIELD=COLUMN, such as --map name=Hostname.")
    columns = {name: column for name, _, column in pairs} or None
    tag, source = options["tag"].lower(), Path(options["file"]).name if options["file"] != "-" else "standard input"
    try:
        return imports.draft(
            _bytes(options["file"]), options["format"], source=source, user=options["user"], tag=tag, columns=columns
        )
    except ValueError as error:
        raise console.Usage(str(error)) from error


def _bytes(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise console.Usage(f"The file cannot be read: {error.strerror}.") from error


def _lines(judged, added: list, asked: bool) -> list[str]:
    lines = [str(problem) for problem in judged.problems]
    lines += [f"And {judged.more} more faults."] * bool(judged.more)
    lines += [f"line {row.line}: {row.name} is there already, as {name}: left alone" for row, name, _ in judged.there]
    if asked:
        return [*lines, f"{len(added)} server{'s' * (len(added) != 1)} added."]
    lines += [f"line {row.line}: {row.name}, {row.user}@{row.address} port {row.port}: to add" for row in judged.add]
    count = len(judged.add)
    return [*lines, f"{count} server{'s' * (count != 1)} to add. Nothing was added: add them with --yes."]


def _document(made: imports.Draft, judged, added: list) -> dict:
    return {
        "format": made.kind,
        "add": [
            {"line": row.line, "name": row.name, "address": row.address, "port": int(row.port)} for row in judged.add
        ],
        "there": [{"line": row.line, "name": row.name, "in_panel": name} for row, name, _ in judged.there],
        "problems": [
            {"line": p.line, "field": p.field, "text": p.text, "hint": p.hint, "notice": p.notice}
            for p in judged.problems
        ],
        "more_problems": judged.more,
        "added": len(added),
    }
