"""How the jobs of one batch are let loose: canary, waves, limits, a time. Deciding is pure; `advance` does it."""

import math
from dataclasses import dataclass, fields, replace
from datetime import datetime

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from controlpanel.access import audit
from servers.alerts import raising
from servers.jobs import bell, machine
from servers.jobs.models import LIVE, Batch, Job, JobQuerySet, Status

WINDOW = 20  # jobs let loose at once where failures may stop the rest and no concurrency was chosen


@dataclass(frozen=True)
class Policy:
    """The plain one lets every job go at once.

    canary: so many servers first; the rest only if every one of them succeeded.
    portion: after the canary, waves of this % of all servers; the next wave begins when the one before has ended.
    stop_after, stop_percent: failures (unreachable servers included) after which nothing more begins.
    concurrency: how many of the batch's jobs are at work at once; WINDOW when a failure limit is set without it.
    order: "name" | "random" | "given", as the servers were handed over.
    starts_at, ends_at: nothing begins before, and nothing that has not begun begins after.
    """

    canary: int = 0
    portion: int | None = None
    stop_after: int | None = None
    stop_percent: int | None = None
    concurrency: int | None = None
    order: str = "name"
    starts_at: datetime | None = None
    ends_at: datetime | None = None


PLAIN = Policy()
COLUMNS = tuple(field.name for field in fields(Policy) if field.name != "order")  # the order is in the jobs' ids


def columns(policy: Policy) -> dict:
    """The policy as columns of a Batch."""
    return {name: getattr(policy, name) for name in COLUMNS}


def policy_of(batch: Batch) -> Policy:
    return Policy(**{name: getattr(batch, name) for name in COLUMNS})


def again(batch: Batch) -> Policy:
    """For retrying jobs of this batch: its care without its times, the servers in the order they had. Where its canary
    let nobody through, one goes first again."""
    policy = replace(policy_of(batch), order="given", starts_at=None, ends_at=None)
    return policy if batch.wave == 0 and batch.stopped_at else replace(policy, canary=0)


def waves(count: int, policy: Policy) -> list[int]:
    """How many of `count` servers are in each wave; the first is the canary when there is one."""
    canary = min(policy.canary, count)
    rest = count - canary
    size = math.ceil(count * policy.portion / 100) if policy.portion else rest
    portions = [min(size, rest - done) for done in range(0, rest, size)] if rest else []
    return ([canary] if canary else []) + portions


@dataclass(frozen=True)
class Standing:
    """Where a batch is. Jobs skipped at the start, because their server was busy, are in no figure but `total`.

    wave: the one that is open. held: the first wave with jobs not yet released, or None.
    queued, working: released jobs nobody has begun, and those at work or out of contact.
    failed: in the whole batch. canary: servers in wave 0, and how many of them failed or were cancelled.
    """

    wave: int = 0
    held: int | None = None
    queued: int = 0
    working: int = 0
    failed: int = 0
    total: int = 0
    canary: int = 0
    canary_failed: int = 0
    canary_cancelled: int = 0


@dataclass(frozen=True)
class Release:
    """Opens `wave`, if it is not the open one, and lets `count` of its jobs go; None is all."""

    wave: int
    count: int | None


@dataclass(frozen=True)
class Stop:
    """Nothing more begins. reason: one sentence."""

    reason: str


def decide(policy: Policy, now: datetime, at: Standing) -> Release | Stop | None:
    """The next move of a batch; None when there is nothing to do, or not yet."""
    if at.held is None and not at.queued:
        return None
    if policy.ends_at and policy.ends_at <= now:
        return Stop("The maintenance window closed.")
    if reason := _too_many(policy, at) or _canary_died(policy, at):
        return Stop(reason)
    if at.held is None or (policy.starts_at and policy.starts_at > now):
        return None
    loose = at.queued + at.working
    if at.held != at.wave and loose:
        return None  # a wave has ended when every job of it has, those out of contact too
    room = policy.concurrency or (WINDOW if policy.stop_after or policy.stop_percent else None)
    if room is None:
        return Release(at.held, None)
    return Release(at.held, room - loose) if room > loose else None


def _too_many(policy: Policy, at: Standing) -> str:
    failed = "1 server failed" if at.failed == 1 else f"{at.failed} servers failed"
    if policy.stop_after and at.failed >= policy.stop_after:
        return f"{failed}; the limit is {policy.stop_after}."
    if policy.stop_percent and at.failed and at.failed * 100 >= policy.stop_percent * at.total:
        return f"{failed} of {at.total}; the limit is {policy.stop_percent} %."
    return ""


def _canary_died(policy: Policy, at: Standing) -> str:
    ended = at.wave == 0 and at.held != 0 and not (at.queued + at.working)
    if not (policy.canary and ended):
        return ""
    if at.canary_failed:
        return f"The canary failed on {at.canary_failed} of {_servers(at.canary)}."
    if at.canary_cancelled:
        return f"The canary was cancelled on {at.canary_cancelled} of {_servers(at.canary)}."
    return ""


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"


def advance(batch_id: int) -> None:
    """Releases the next jobs of a batch, opens its next wave, or stops it. May be called at any time, by anybody, for
    any batch: the lock of the batch's row lets one in at a time, and the same standing asks for nothing twice."""
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(pk=batch_id, stopped_at__isnull=True).first()
        if batch is None or not batch.paced:
            return
        policy, now = policy_of(batch), timezone.now()
        move = decide(policy, now, _standing(batch, policy))
        if isinstance(move, Stop):
            _stop(batch, move.reason, now)
        elif move:
            _release(batch, move, now)


def _held(batch: Batch) -> JobQuerySet:
    return batch.jobs.filter(status=Status.QUEUED, released_at__isnull=True).order_by("wave", "id")


def _standing(batch: Batch, policy: Policy) -> Standing:
    """Reads what is loose and what failed; never the thousands that wait or have succeeded."""
    loose = batch.jobs.filter(status__in=LIVE, released_at__isnull=False).counts()
    queued = loose.pop(Status.QUEUED, 0)
    canary = {}
    if policy.canary and batch.wave == 0:
        canary = batch.jobs.filter(wave=0).exclude(cause="busy").counts()
    return Standing(
        wave=batch.wave,
        held=_held(batch).values_list("wave", flat=True).first(),
        queued=queued,
        working=sum(loose.values()),
        failed=batch.jobs.filter(status__in=(Status.FAILED, Status.ERRORED)).count(),
        total=batch.jobs.count() if policy.stop_percent else 0,
        canary=sum(canary.values()),
        canary_failed=canary.get(Status.FAILED, 0) + canary.get(Status.ERRORED, 0),
        canary_cancelled=canary.get(Status.CANCELLED, 0),
    )


def _release(batch: Batch, move: Release, now: datetime) -> None:
    if move.wave != batch.wave:
        Batch.objects.filter(pk=batch.pk).update(wave=move.wave)
    wave = _held(batch).filter(wave=move.wave)
    ids = list(wave.values_list("pk", flat=True)[: move.count or machine.WAKE])
    released = wave.filter(pk__in=ids) if move.count else wave
    released.order_by().update(released_at=now, rung_at=now)
    transaction.on_commit(lambda: bell.ring(ids[: machine.WAKE]))


def _stop(batch: Batch, reason: str, now: datetime) -> None:
    Batch.objects.filter(pk=batch.pk, stopped_at__isnull=True).update(stopped_at=now, stopped_reason=reason)
    skipped = machine.withdraw_many(
        batch.jobs.all(),
        outcome=f"Skipped: the batch was stopped. {reason}",
        cause="stopped",
        hint="Mend the cause, then retry failed servers.",
    )
    audit.record(None, "stopped", ("batch", batch.pk, batch.action), reason=reason, skipped=skipped)
    raising.raise_alert(
        "batch-stopped",
        batch.pk,
        cause=str(batch.pk),
        text=f"A batch stopped itself. {reason}",
        hint="Look at what failed, mend it, then retry failed servers. Close the alert when you have seen to it.",
        url=reverse("jobs:batch", args=[batch.pk]),
    )


def waiting() -> list[int]:
    """Batches that may have a move to make: paced, not stopped, with jobs nobody has begun."""
    queued = Job.objects.filter(status=Status.QUEUED).values("batch")
    return list(Batch.objects.paced().filter(stopped_at__isnull=True, pk__in=queued).values_list("pk", flat=True))
