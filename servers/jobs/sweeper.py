"""Looks after jobs nobody is working on. Every move is a compare-and-swap, so any number of sweepers may run."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from servers.jobs import bell, machine, rollout
from servers.jobs.models import Job, JobQuerySet, Status

RING_AGAIN = timedelta(seconds=15)  # a queued job not taken by then was not heard
LOST_FOR_GOOD = timedelta(hours=6)
WORKERS_LOST = 5  # claims of a job that never got as far as its server
BATCH = 1000


def sweep() -> None:
    """Rings for what waits, notices workers that stopped, ends what has been lost for too long, and moves batches on
    whose worker was killed between its job's end and the next move."""
    now = timezone.now()
    machine.expire(now)
    due = Job.objects.filter(status=Status.LOST_CONTACT, due_at__lte=now).order_by("due_at")
    for job in due.filter(_hopeless(now))[:BATCH]:
        _end(job)
    _ring(due, list(due.values_list("pk", flat=True)[: machine.WAKE]), now, due_at=now + RING_AGAIN)
    _ring_for_the_next(now)
    for batch in rollout.waiting():
        rollout.advance(batch)


def _ring_for_the_next(now: datetime) -> None:
    """Only for those whose turn is next, however many thousands wait behind them: a worker that wakes takes one job
    after the other by itself."""
    turn = Job.objects.filter(machine.may_begin()).order_by("rank", "id")[: machine.WAKE]
    unheard = [pk for pk, rung_at in turn.values_list("pk", "rung_at") if not rung_at or rung_at <= now - RING_AGAIN]
    _ring(Job.objects.filter(status=Status.QUEUED), unheard, now)


def _hopeless(now: datetime) -> Q:
    idle = Q(submitted_at__isnull=True)
    return (
        Q(lost_at__lte=now - LOST_FOR_GOOD)
        | idle & Q(fence__gte=WORKERS_LOST)
        | idle & Q(cancel_asked_at__isnull=False)
    )


def _end(job: Job) -> None:
    if job.submitted_at:
        machine.give_up(
            job,
            outcome=f"The server stayed out of reach; whether the work handed to it was finished is not known. "
            f"Last heard: {job.outcome}",
            cause="lost-contact",
            hint="Retry when the server answers again: it is looked at first, and only what differs is changed.",
        )
    elif job.cancel_asked_at:
        machine.withdraw(job, outcome="Cancelled before anything was handed to the server.", by=job.cancel_asked_by)
    else:
        machine.give_up(
            job,
            outcome=f"The panel's worker stopped {job.fence} times in this job; nothing was handed to the server.",
            cause="worker-lost",
            hint="Look at the log of the worker (memory?), then retry.",
        )


def _ring(jobs: JobQuerySet, ids: list[int], now: datetime, **fields) -> None:
    """Marks before ringing, so that the next sweep, or another sweeper, does not ring for the same jobs."""
    if ids and jobs.filter(pk__in=ids).order_by().update(rung_at=now, **fields):
        bell.ring(ids)
