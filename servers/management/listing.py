"""Servers and jobs as documents for scripts and as tables for people."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controlpanel.web.words import LOOKS
from servers import catalog, trust
from servers.jobs.models import Job
from servers.management import progress
from servers.models import Server


def server_documents(servers: Iterable[Server]) -> list[dict]:
    """One dictionary per server, with the state of each service; a fixed number of queries."""
    servers = list(servers.select_related("jump").prefetch_related("tags", "host_keys"))
    states = {service.slug: service.states(servers) for service in catalog.services() if not service.hidden}
    return [_document(server, states) for server in servers]


def server_document(server: Server) -> dict:
    return server_documents(Server.objects.filter(pk=server.pk))[0]


def _document(server: Server, states: dict[str, dict]) -> dict:
    services = {slug: found.get(server.pk, catalog.State("absent")) for slug, found in states.items()}
    return {
        "name": server.name,
        "address": server.address,
        "port": server.port,
        "user": server.user,
        "sign_in": server.sign_in,
        "sudo": server.sudo,
        "jump": server.jump.name if server.jump else None,
        "tags": [tag.name for tag in server.tags.all()],
        "note": server.note,
        "reach": server.reach,
        "checked_at": server.checked_at.isoformat() if server.checked_at else None,
        "host_keys": {key.fingerprint: key.state for key in server.host_keys.all()},
        "os": server.findings.get("facts", {}).get("os", ""),
        "services": {slug: {"state": state.word, "detail": state.detail} for slug, state in services.items()},
        "archived": server.archived_at is not None,
    }


def print_servers(servers: Iterable[Server], out) -> None:
    documents = server_documents(servers)
    labels = [service.label for service in catalog.services() if not service.hidden]
    reach = dict(Server.Reach.choices)
    rows = [
        (
            found["name"],
            f"{found['user']}@{found['address']}:{found['port']}",
            reach[found["reach"]],
            *(LOOKS[state["state"]].word for state in found["services"].values()),
            " ".join(found["tags"]),
        )
        for found in documents
    ]
    _print_rows(("Server", "Address", "Connection", *labels, "Tags"), rows, out)


def print_server(server: Server, out) -> None:
    found = server_document(server)
    for label in ("name", "address", "port", "user", "sign_in", "sudo", "jump", "os", "reach", "note"):
        out.write(f"{label.replace('_', ' ')}: {found[label] or '-'}")
    out.write(f"tags: {' '.join(found['tags']) or '-'}")
    for key in server.host_keys.all():
        out.write(f"host key: {key.fingerprint} ({key.kind}), {key.get_state_display().lower()}")
    for key in trust.waiting(server):
        out.write(f"  compare on the server: {trust.compare_command(key.kind)}")
    for slug, state in found["services"].items():
        out.write(f"{slug}: {LOOKS[state['state']].word} {state['detail']}".rstrip())
    for stage in server.findings.get("stages", []):
        out.write(f"{stage['state']:>8}  {stage['title']}: {stage['text']}".rstrip())


def print_jobs(jobs: list[Job], out) -> None:
    if _terminal(out):
        Console(file=out).print(progress.table(jobs))
        return
    rows = [(str(j.pk), j.server.name, j.action, j.get_status_display(), progress.ending(j)) for j in jobs]
    _print_rows(("Job", "Server", "Action", "Status", "Outcome"), rows, out)


def print_job(job: Job, out) -> None:
    out.write(f"Job {job.pk}: {job.action} on {job.server.name}: {job.get_status_display().lower()}")
    for step in job.steps.all():
        out.write(f"{step.position:>3}. {step.title}: {step.get_state_display().lower()}")
        for line in step.lines.all():
            out.write(f"       {line.text}")
    if ending := progress.ending(job):
        out.write(ending)


def _terminal(out) -> bool:
    return getattr(out, "isatty", lambda: False)()


def _print_rows(headings: tuple, rows: list[tuple], out) -> None:
    """A table on a terminal; otherwise tab-separated lines, the first with the headings."""
    if not _terminal(out):
        for row in [headings, *rows]:
            out.write("\t".join(row))
        return
    grid = Table(box=None, pad_edge=False)
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    Console(file=out).print(grid)
