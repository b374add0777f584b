"""`gateway health`: a look at servers now, in this process, or what the last looks found."""

from collections.abc import Iterator

from gateway import gateways, health
from gateway.models import Gateway
from servers.models import Server

WELL = ("working", "absent")


def looks(servers: list[Server], *, stored: bool) -> Iterator[dict]:
    """One row a server, in their order; those that are looked at now come out as they are done."""
    known = {row.server_id: row for row in _rows(servers)}
    skipped = {}
    if not stored:
        for look in health.look_at([row for row in known.values() if row.installed]):
            skipped[look.server.pk] = look.skipped
        known = {row.server_id: row for row in _rows(servers)}
    states = gateways.states(servers)
    for server in servers:
        yield _row(server, known.get(server.pk) or Gateway(server=server), states[server.pk], skipped)


def line(row: dict) -> str:
    seen = f"seen {row['seen_at']:%Y-%m-%d %H:%M} UTC" if row["seen_at"] else "never seen"
    skipped = f"; not looked at now: {row['skipped']}" if row["skipped"] else ""
    told = [f"  {found['state']}: {found['text']} {found['hint']}".rstrip() for found in row["problems"]]
    return "\n".join([f"{row['server']}: {row['state']}, {seen}, {row['queued']} waiting{skipped}", *told])


def well(row: dict) -> bool:
    return row["state"] in WELL and not row["problems"] and not row["skipped"]


def _rows(servers: list[Server]):
    return Gateway.objects.filter(server__in=[server.pk for server in servers]).select_related("server")


def _row(server: Server, gateway: Gateway, state, skipped: dict) -> dict:
    return {
        "server": server.name,
        "state": state.word,
        "seen_at": gateway.seen_at,
        "queued": gateway.queued,
        "oldest_at": gateway.oldest_at,
        "problems": gateway.problems,
        "skipped": skipped.get(server.pk, ""),
    }
