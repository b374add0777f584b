"""Removes what nobody reads any more, oldest first. What became of a job is told long after its output is gone.

Every step is a small transaction of its own: nothing here makes a running batch wait.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from servers.jobs.models import FINISHED, Batch, Job, JobLine, JobQuerySet

log = logging.getLogger(__name__)
LINES, ROWS = 2000, 200  # that one transaction removes: lines, and jobs or batches
REST = 0.05  # seconds after each: SQLite's lock goes to whoever asks first, and a waiting worker asks every 25 ms


def prune(now: datetime) -> None:
    """Output older than JOB_KEEP_LINES_DAYS, jobs older than JOB_KEEP_DAYS, and the oldest output while there are more
    than JOB_KEEP_LINES lines. What has not finished stays, and so does the newest job of each server and action."""
    lines = _remove_output(_ended(now, min(settings.JOB_KEEP_LINES_DAYS, settings.JOB_KEEP_DAYS)), now)
    too_many = JobLine.objects.count() - settings.JOB_KEEP_LINES
    if too_many > 0:
        lines += _remove_output(_ended(now, 0), now, enough=too_many)
    newer = Job.objects.filter(server=OuterRef("server"), action=OuterRef("action"), pk__gt=OuterRef("pk"))
    jobs = _remove(_ended(now, settings.JOB_KEEP_DAYS).filter(Exists(newer)))
    asked = Batch.objects.filter(asked_at__lt=now - timedelta(days=settings.JOB_KEEP_DAYS))
    _remove(asked.filter(~Exists(Job.objects.filter(batch=OuterRef("pk")))))
    if lines or jobs:
        log.info("Removed %s lines of output and %s jobs that were kept long enough.", lines, jobs)


def _ended(now: datetime, days: int) -> JobQuerySet:
    ended = Job.objects.filter(status__in=FINISHED, finished_at__lt=now - timedelta(days=days))
    return ended.order_by("finished_at", "pk")


def _remove_output(jobs: JobQuerySet, now: datetime, enough: int | None = None) -> int:
    """Takes the output of whole jobs, in their order, until `enough` lines are gone; how many went."""
    with_lines = jobs.filter(Exists(JobLine.objects.filter(job=OuterRef("pk"))))
    counted = list(with_lines.values_list("pk").annotate(Count("lines")))
    return sum(_remove_lines(chunk, now) for chunk in chunks(counted, enough))


def chunks(counted: Iterable[tuple[int, int]], enough: int | None) -> Iterator[list[int]]:
    """Jobs, of [(job, its lines)], in lists of about LINES lines, until there are `enough` lines in them."""
    chunk: list[int] = []
    size = total = 0
    for job, lines in counted:
        if enough is not None and total >= enough:
            break
        chunk.append(job)
        size, total = size + lines, total + lines
        if size >= LINES or len(chunk) >= ROWS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _remove_lines(jobs: list[int], now: datetime) -> int:
    removed = 0
    while True:
        with transaction.atomic():
            Job.objects.filter(pk__in=jobs, output_pruned_at=None).update(output_pruned_at=now)
            lines = JobLine.objects.filter(job__in=jobs).order_by().values_list("pk", flat=True)[:LINES]
            gone, _ = JobLine.objects.filter(pk__in=list(lines)).delete()
        time.sleep(REST)
        removed += gone
        if gone < LINES:
            return removed


def _remove(rows: QuerySet) -> int:
    ids = list(rows.values_list("pk", flat=True))
    for start in range(0, len(ids), ROWS):
        rows.model.objects.filter(pk__in=ids[start : start + ROWS]).delete()
        time.sleep(REST)
    return len(ids)
