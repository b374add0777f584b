"""`gateway drift` and `gateway adopt`: what differs on one server, and keeping a part of it."""

from controlpanel.access.models import User
from gateway import adopting, keeping
from gateway.models import Gateway
from gateway.postfix import paths
from servers.jobs.models import Batch
from servers.management import console
from servers.models import Server


def document(server: Server) -> dict:
    """What the last look found on the server, and what is kept there."""
    gateway = Gateway.objects.of(server)
    found = adopting.differences(keeping.changes(gateway))
    return {
        "server": server.name,
        "seen_at": gateway.seen_at,
        "problems": gateway.problems,
        "differences": [
            {"parameter": one.name, "there": one.there, "ours": one.ours, "keep": one.may_stay, "why_not": one.refusal}
            for one in found
        ],
        "kept": gateway.kept,
        "diff": gateway.diffs.get(paths.MAIN_CF, ""),
    }


def text(told: dict) -> str:
    lines = [f"{told['server']}: {_seen(told)}"]
    lines += [f"  {one['state']}: {one['text']} {one['hint']}".rstrip() for one in told["problems"]]
    for one in told["differences"]:
        may = "can be kept" if one["keep"] else f"cannot be kept: {one['why_not']}"
        lines.append(f"  {one['parameter']}: {_value(one['there'])} there, ours {_value(one['ours'])}; {may}")
    lines += [f"  kept: {name} {_value(value)}" for name, value in told["kept"].items()]
    return "\n".join([*lines, told["diff"]]).rstrip()


def adopt(server: Server, names: list[str], *, everything: bool, stop: bool, by: User | str) -> Batch:
    """What a person asked to keep, or to keep no longer. Raises as gateway.keeping does, console.Usage for no names."""
    gateway = Gateway.objects.of(server)
    changes = keeping.changes(gateway)
    if everything:
        names = list(gateway.kept) if stop else [one.name for one in adopting.differences(changes) if one.may_stay]
    if not names:
        raise console.Usage("This means no parameter: name some, or use --every where one can be kept.")
    if stop:
        return keeping.stop(server, names, by=by)
    return keeping.adopt(server, names, shown=keeping.digest(changes), by=by)


def _seen(told: dict) -> str:
    seen = f"seen {told['seen_at']:%Y-%m-%d %H:%M} UTC" if told["seen_at"] else "never seen"
    return seen if told["problems"] else f"{seen}, nothing differed"


def _value(value: str | None) -> str:
    return "not set" if value is None else f'"{value}"'
