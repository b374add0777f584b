"""Asking: the one door through which jobs come into being."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from servers import catalog
from servers.jobs import bell, machine
from servers.jobs.models import Batch, Job, Status
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
    servers: Iterable[Server],
    *,
    by: User | str | None,
    options: dict | None = None,
    policy: Policy = PLAIN,
    retry_of: Job | None = None,
) -> Batch:
    """One Batch with one Job per server, audited; the broker is told after the commit.

    by: the person, or a few words for who else ("command line").
    options: what the action understands, never secrets; {"dry_run": True} takes no mutating slot.
    A server that already has a live mutating job gets a cancelled job that says so; when all have one, raises Busy and
    writes nothing. Raises catalog.UnknownAction, Archived.
    """
    wanted = {server.pk: server for server in servers}
    earlier = dict.fromkeys(wanted, retry_of) if retry_of else {}
    return _launch(action, wanted, by, options or {}, earlier)


def retry(jobs: Iterable[Job], *, by: User | str | None) -> Batch:
    """Asks finished jobs of one batch again, each new job pointing at the old one. Raises StillLive, Busy, Archived."""
    old = {job.server_id: job for job in jobs}
    if any(job.live for job in old.values()):
        raise StillLive
    batch = next(iter(old.values())).batch
    return _launch(batch.action, {job.server_id: job.server for job in old.values()}, by, batch.options, old)


def cancel(job: Job, *, by: User | str | None) -> bool:
    """Cancels what has not begun, asks a running job to stop between two steps. False: there was nothing to cancel."""
    with transaction.atomic():
        done = machine.withdraw(job, outcome="Cancelled before anything was done.", by=_person(by))
        if not done and not machine.ask_to_cancel(job, by=_person(by)):
            return False
        audit.record(by, _verb("cancelled" if done else "asked to cancel", job.action), job.server, job=job.pk)
    return True


def _launch(action: str, servers: dict, by: User | str | None, options: dict, earlier: dict) -> Batch:
    _, offered = catalog.find(action)
    if any(server.archived_at for server in servers.values()):
        raise Archived
    mutating = offered.mutating and not options.get("dry_run")
    with transaction.atomic():
        batch = Batch.objects.create(action=action, options=options, asked_by=_person(by))
        asked = [
            Job(
                batch=batch,
                server=server,
                action=action,
                mutating=mutating,
                rank=int(len(servers) > 1),
                released_at=timezone.now(),
                rung_at=timezone.now(),
                retry_of=earlier.get(server.pk),
            )
            for server in servers.values()
        ]
        # The partial unique index decides, not a look beforehand: of two clicks at once one insert is ignored.
        Job.objects.bulk_create(asked, ignore_conflicts=mutating)
        taken = list(batch.jobs.values_list("pk", "server"))
        _note_busy(batch, [job for job in asked if job.server_id not in {server for _, server in taken}], bool(taken))
        _audit(by, batch, servers, bool(earlier))
        transaction.on_commit(lambda: bell.ring([pk for pk, _ in taken]))
    return batch


def _note_busy(batch: Batch, refused: list[Job], some_taken: bool) -> None:
    """Every server that was asked for has an outcome, those that were busy included."""
    if not refused:
        return
    if not some_taken:
        raise Busy(_holder(refused[0].server))
    now = timezone.now()
    Job.objects.bulk_create(
        Job(
            batch=batch,
            server=job.server,
            action=job.action,
            mutating=job.mutating,
            status=Status.CANCELLED,
            retry_of=job.retry_of,
            finished_at=now,
            changed=False,
            outcome="Skipped: another job was changing this server.",
            cause="busy",
            hint="Retry when that job has finished.",
        )
        for job in refused
    )


def _holder(server: Server) -> Job:
    """The job in the way; when it ended a moment ago, that one all the same: it is what the first click made."""
    jobs = Job.objects.select_related("server").filter(server=server, mutating=True)
    return jobs.live().first() or jobs.first()


def _audit(by: User | str | None, batch: Batch, servers: dict, retried: bool) -> None:
    options = {name: value for name, value in batch.options.items() if not isinstance(value, (dict, list))}
    verb = _verb("retried" if retried else "asked for", batch.action)
    for server in servers.values():
        audit.record(by, verb, server, batch=batch.pk, options=options)


def _verb(what: str, action: str) -> str:
    return f"{what} “{title(action)}”"[:60]


def _person(by: User | str | None) -> User | None:
    return by if isinstance(by, User) else None
