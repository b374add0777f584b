"""A batch as a table to keep: one row per server, as the person who downloads it may read it."""

from collections.abc import Iterator
from itertools import islice

from django.db.models import QuerySet

from controlpanel.access.models import User
from servers import catalog
from servers.jobs import verdicts
from servers.jobs.discretion import told
from servers.jobs.models import FINISHED, Job

FIXED = ("server", "address", "state", "changed", "outcome", "cause", "hint", "seconds", "started", "finished")
_AT_ONCE = 2000  # rows in memory


def columns(action: str) -> tuple[tuple[str, str], ...]:
    """(heading, key of the result) an action declares; none when nobody offers it any more."""
    try:
        return catalog.find(action)[1].columns
    except catalog.UnknownAction:
        return ()


def compared(action: str) -> tuple[tuple[str, str], ...]:
    """Those shown beside each server on the page: none where its jobs are told together there."""
    try:
        return () if catalog.find(action)[1].together else columns(action)
    except catalog.UnknownAction:
        return ()


def together(jobs: QuerySet, action: str, viewer: User | None) -> tuple[list, str]:
    """What the finished ones say together (JSON), and the template that shows it; nothing where the action does not
    say. viewer None: the command line."""
    try:
        asked = catalog.find(action)[1].together
    except catalog.UnknownAction:
        asked = None
    return (asked.found(viewer, jobs.filter(status__in=FINISHED)), asked.template) if asked else ([], "")


def header(action: str) -> list[str]:
    """No name stands twice: the seconds of a test are "test_seconds"."""
    slug = action.rpartition(".")[2]
    return [*FIXED, *(f"{slug}_{key}" if key in FIXED else key for _, key in columns(action))]


def rows(jobs: QuerySet, action: str, viewer: User) -> Iterator[list]:
    """Values of JSON, in the order of `header`, servers by name."""
    keys = [key for _, key in columns(action)]
    wanted = jobs.select_related("server").order_by("server__name", "pk")
    if not keys:
        wanted = wanted.defer("result")
    stream = wanted.iterator(chunk_size=_AT_ONCE)
    while some := list(islice(stream, _AT_ONCE)):
        for job in told(some, viewer):
            yield [*_fixed(job), *(job.result.get(key) for key in keys)]


def _fixed(job: Job) -> list:
    return [
        job.server.name,
        job.server.address,
        verdicts.verdict(job),
        job.changed,
        job.outcome,
        job.cause,
        job.hint,
        None if job.seconds is None else round(job.seconds, 3),
        job.started_at and job.started_at.isoformat(timespec="seconds"),
        job.finished_at and job.finished_at.isoformat(timespec="seconds"),
    ]
