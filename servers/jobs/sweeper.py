"""Looks after jobs nobody is working on. Every move is a compare-and-swap, so any number of sweepers may run."""

from datetime import datetime, timedelta

from django.utils import timezone

from servers.jobs import bell, machine, rollout
from servers.jobs.models import Job, JobQuerySet, Status

RING_AGAIN = timedelta(seconds=15)  # what was not taken by then was not heard
BATCH = 1000
SOME = 32  # rings while jobs run: whoever is awake goes on by itself, these bring in workers that came later


def sweep() -> None:
    """Rings for what waits, notices workers that stopped, ends what has been lost for too long, and moves batches on
    whose worker was killed between its job's end and the next move."""
    now = timezone.now()
    machine.expire(now)
    lost = Job.objects.filter(status=Status.LOST_CONTACT, due_at__lte=now)
    for job in lost.filter(machine.hopeless(now))[:BATCH]:
        _end(job)
    _ring(machine.due(now), now)
    busy = Job.objects.filter(status=Status.RUNNING).exists()
    _ring(machine.turn(), now, SOME if busy else machine.WAKE)
    for batch in rollout.waiting():
        rollout.advance(batch)


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


def _ring(jobs: JobQuerySet, now: datetime, most: int = machine.WAKE) -> None:
    """Only for those whose turn is next, however many thousands wait behind them: a worker that wakes takes one job
    after the other by itself. Marks before ringing, so that the next sweep, or another sweeper, does not ring again."""
    next_ones = jobs.values_list("pk", "rung_at")[:most]
    unheard = [pk for pk, rung_at in next_ones if not rung_at or rung_at <= now - RING_AGAIN]
    if unheard and jobs.filter(pk__in=unheard).order_by().update(rung_at=now):
        bell.ring(unheard)
