"""Asking: the one door through which jobs come into being."""

import random
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from servers import catalog
from servers.jobs import bell, machine, rollout
from servers.jobs.models import LIVE, Batch, Job, JobQuerySet, Status
from servers.jobs.rollout import PLAIN, Policy
from servers.models import Server


class Busy(Exception):
    """Another job that changes this server has not finished yet."""

    hint = "Wait for it, or cancel it."

    def __init__(self, job: Job):
        super().__init__(f"{job.server} already has a job: {title(job.action)}.")
        self.job = job


class Archived(Exception):
    """An archived server takes no jobs."""

    hint = "Take the server out of the archive first."


class StillLive(Exception):
    """A job can be asked again only when it has finished."""

    hint = "Wait for it, or cancel it."


def title(action: str) -> str:
    """The button's words for "gateway.install"; an action whose service is gone keeps its name."""
    try:
        return catalog.find(action)[1].label
    except catalog.UnknownAction:
        return action


def launch(
    action: str,
    servers: Iterable[Server | UUID],
    *,
    by: User | str | None,
    options: dict | None = None,
    policy: Policy = PLAIN,
    retry_of: Job | None = None,
) -> Batch:
    """One Batch with one Job per server, audited; the broker is told after the commit.

    servers: rows, ids or a queryset; only id, name and archive date are read, and ids nobody has are left out.
    by: the person, or a few words for who else ("command line").
    options: what the action understands, never secrets; {"dry_run": True} takes no mutating slot.
    policy: how the jobs are let loose; by the plain one all may begin at once.
    A server that already has a live mutating job gets a cancelled job that says so; when all have one, raises Busy and
    writes nothing. Raises catalog.UnknownAction, Archived.
    """
    asked = [_Asked(*row, retry_of and retry_of.pk) for row in _rows(servers)]
    return _launch(action, asked, by, options or {}, policy)


def retry(jobs: Iterable[Job], *, by: User | str | None, policy: Policy | None = None) -> Batch:
    """Asks finished jobs of one batch again, each new job pointing at the old one: with the batch's options, let loose
    as `rollout.again` says unless a policy is given. jobs: rows or a queryset, at least one. Raises StillLive, Busy,
    Archived."""
    columns = ("server", "server__name", "server__archived_at", "pk", "status", "batch")
    if not isinstance(jobs, QuerySet):
        jobs = Job.objects.filter(pk__in=[job.pk for job in jobs])
    old = list(jobs.order_by("pk").values_list(*columns))
    if any(status in LIVE for *_, status, _ in old):
        raise StillLive
    batch = Batch.objects.get(pk=old[0][-1])
    latest = {row[0]: _Asked(*row[:4]) for row in old}
    return _launch(batch.action, list(latest.values()), by, batch.options, policy or rollout.again(batch))


def cancel(job: Job, *, by: User | str | None) -> bool:
    """Cancels what has not begun, asks a running job to stop between two steps. False: there was nothing to cancel."""
    with transaction.atomic():
        done = machine.withdraw(job, outcome="Cancelled before anything was done.", by=_person(by))
        if not done and not machine.ask_to_cancel(job, by=_person(by)):
            return False
        audit.record(by, _verb("cancelled" if done else "asked to cancel", job.action), job.server, job=job.pk)
    return True


def cancel_queued(batch: Batch, jobs: JobQuerySet | None = None, *, by: User | str | None) -> int:
    """Cancels what nobody has begun: of the batch, or those of its `jobs` this person may see; how many."""
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=batch.pk)  # `rollout.advance` moves the same rows under this lock
        queued = batch.jobs.all() if jobs is None else jobs.filter(batch=batch)
        outcome = "Cancelled before anything was done."
        count = machine.withdraw_many(queued, outcome=outcome, cause="cancelled", by=_person(by))
        if count:
            audit.record(by, _verb("cancelled", batch.action), ("batch", batch.pk, title(batch.action)), jobs=count)
            rollout.advance(batch.pk)
    return count


def start_now(batch: Batch, *, by: User | str | None) -> bool:
    """Begins what was kept for a later time; its waves, limits and end stay. False: it is not waiting for a time."""
    with transaction.atomic():
        kept = Batch.objects.filter(pk=batch.pk, starts_at__gt=timezone.now(), stopped_at__isnull=True)
        if not kept.update(starts_at=timezone.now()):
            return False
        audit.record(by, _verb("began early", batch.action), ("batch", batch.pk, title(batch.action)))
        rollout.advance(batch.pk)
    return True


class _Asked(NamedTuple):
    server: UUID
    name: str
    archived_at: datetime | None
    retry_of: int | None


def _rows(servers: Iterable[Server | UUID]) -> list[tuple]:
    """[(id, name, archived at)] of servers given as rows, ids or a queryset, each once and in the order given."""
    columns = ("pk", "name", "archived_at")
    if isinstance(servers, QuerySet):
        return list({row[0]: row for row in servers.values_list(*columns)}.values())
    given = {getattr(server, "pk", server): server for server in servers}
    known = {pk: (pk, row.name, row.archived_at) for pk, row in given.items() if isinstance(row, Server)}
    ids = [pk for pk in given if pk not in known]
    for start in range(0, len(ids), 1000):
        rows = Server.objects.filter(pk__in=ids[start : start + 1000]).values_list(*columns)
        known |= {row[0]: row for row in rows}
    return [known[pk] for pk in given if pk in known]


def _launch(action: str, asked: list[_Asked], by: User | str | None, options: dict, policy: Policy) -> Batch:
    _, offered = catalog.find(action)
    if any(one.archived_at for one in asked):
        raise Archived
    mutating = offered.mutating and not options.get("dry_run")
    if policy.order != "given":
        asked.sort(key=lambda one: one.name.casefold())
    if policy.order == "random":
        random.shuffle(asked)
    with transaction.atomic():
        if mutating and len(asked) > 1:
            _one_at_a_time()
        batch = Batch.objects.create(action=action, options=options, asked_by=_person(by), **rollout.columns(policy))
        jobs = [_job(batch, one, mutating, rank=int(len(asked) > 1)) for one in asked]
        # The partial unique index decides, not a look beforehand: of two clicks at once one insert is ignored.
        Job.objects.bulk_create(jobs, ignore_conflicts=mutating)
        taken = dict(batch.jobs.order_by("pk").values_list("server", "pk"))
        _note_busy(batch, [job for job in jobs if job.server_id not in taken], bool(taken))
        _audit(by, batch, asked)
        _let_loose(batch, list(taken.values()), policy)
    return batch


def _one_at_a_time() -> None:
    """Two batches over the same servers in a different order would each wait for a row of the other."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('fleetpost: launch of many'))")


def _job(batch: Batch, one: _Asked, mutating: bool, rank: int) -> Job:
    now = timezone.now()
    return Job(
        batch=batch,
        server_id=one.server,
        action=batch.action,
        mutating=mutating,
        rank=rank,
        released_at=None if batch.paced else now,
        rung_at=now,
        retry_of_id=one.retry_of,
    )


def _let_loose(batch: Batch, ids: list[int], policy: Policy) -> None:
    """ids: in the order in which they may begin. Servers that were busy are in no wave."""
    if not batch.paced:
        transaction.on_commit(lambda: bell.ring(ids[: machine.WAKE]))
        return
    done = 0
    for wave, size in enumerate(rollout.waves(len(ids), policy)):
        if wave:
            batch.jobs.filter(pk__range=(ids[done], ids[done + size - 1])).order_by().update(wave=wave)
        done += size
    rollout.advance(batch.pk)


def _note_busy(batch: Batch, refused: list[Job], some_taken: bool) -> None:
    """Every server that was asked for has an outcome, those that were busy included."""
    if not refused:
        return
    if not some_taken:
        raise Busy(_holder(refused[0].server_id))
    now = timezone.now()
    Job.objects.bulk_create(
        Job(
            batch=batch,
            server_id=job.server_id,
            action=job.action,
            mutating=job.mutating,
            status=Status.CANCELLED,
            retry_of_id=job.retry_of_id,
            finished_at=now,
            changed=False,
            outcome="Skipped: another job was changing this server.",
            cause="busy",
            hint="Retry when that job has finished.",
        )
        for job in refused
    )


def _holder(server: UUID) -> Job:
    """The job in the way; when it ended a moment ago, that one all the same: it is what the first click made."""
    jobs = Job.objects.select_related("server").filter(server=server, mutating=True)
    return jobs.live().first() or jobs.first()


def _audit(by: User | str | None, batch: Batch, asked: list[_Asked]) -> None:
    options = {name: value for name, value in batch.options.items() if not isinstance(value, (dict, list))}
    verb = _verb("retried" if any(one.retry_of for one in asked) else "asked for", batch.action)
    kind = str(Server._meta.verbose_name)
    subjects = ((kind, one.server, one.name) for one in asked)
    audit.record_many(by, verb, subjects, batch=batch.pk, options=options)


def _verb(what: str, action: str) -> str:
    return f"{what} “{title(action)}”"[:60]


def _person(by: User | str | None) -> User | None:
    return by if isinstance(by, User) else None
