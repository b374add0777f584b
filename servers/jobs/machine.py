"""The job machine: every move of a job is one compare-and-swap UPDATE, made here and nowhere else.

    queued ─claim─▸ running ─▸ succeeded | failed (the server said no) | errored (we broke) | cancelled
    running ─lose─▸ lost-contact ─claim─▸ running            queued ─withdraw─▸ cancelled
    lost-contact ─give-up─▸ errored                          lost-contact, nothing handed over ─withdraw─▸ cancelled

A run acts for the fence it was claimed with. Whoever holds an older fence moves nothing and writes nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from controlpanel.access.models import User
from servers.jobs.models import Batch, Job, JobQuerySet, JobStep, Pause, Status
from servers.models import Server

MOVES: dict[str, tuple[frozenset[Status], Status]] = {
    "claim": (frozenset({Status.QUEUED, Status.LOST_CONTACT}), Status.RUNNING),
    "succeed": (frozenset({Status.RUNNING}), Status.SUCCEEDED),
    "fail": (frozenset({Status.RUNNING}), Status.FAILED),
    "error": (frozenset({Status.RUNNING}), Status.ERRORED),
    "stop": (frozenset({Status.RUNNING}), Status.CANCELLED),
    "lose": (frozenset({Status.RUNNING}), Status.LOST_CONTACT),
    "withdraw": (frozenset({Status.QUEUED, Status.LOST_CONTACT}), Status.CANCELLED),
    "give-up": (frozenset({Status.LOST_CONTACT}), Status.ERRORED),
}
ENDINGS = ("succeed", "fail", "error", "stop")
FIRST_RETRY, SLOWEST_RETRY = 5, 300  # seconds between looks at a server that stays away
LOST_FOR_GOOD = timedelta(hours=6)
WORKERS_LOST = 5  # claims of a job that never got as far as its server
WAKE = settings.WORKER_THREADS  # messages that wake every thread of a worker; awake, they `take` until nothing waits

PATIENT = ("sign-in", "host-key-changed", "host-key-unknown", "root")


def _move(jobs: JobQuerySet, move: str, **fields) -> int:
    """How many of `jobs` made the move; the others were not in a state that allows it."""
    sources, target = MOVES[move]
    return jobs.filter(status__in=sources).update(status=target, **fields)


def _mine(job: Job) -> JobQuerySet:
    return Job.objects.filter(pk=job.pk, fence=job.fence)


def lease_end(now: datetime | None = None) -> datetime:
    return (now or timezone.now()) + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def may_begin() -> Q:
    """Jobs nobody has begun and a worker may: released, within the time their batch was given, and no pause."""
    over = Batch.objects.filter(pk=OuterRef("batch"), ends_at__lte=timezone.now())
    return Q(status=Status.QUEUED, released_at__isnull=False) & ~Exists(Pause.objects.all()) & ~Exists(over)


def ready() -> Q:
    """Jobs a worker may claim: what may begin, and what is lost, which is looked at again during a pause too."""
    return may_begin() | Q(status=Status.LOST_CONTACT)


def hopeless(now: datetime) -> Q:
    """Jobs out of contact that nobody is to look at again: the sweeper ends them."""
    idle = Q(submitted_at__isnull=True)
    return (
        Q(lost_at__lte=now - LOST_FOR_GOOD)
        | idle & Q(fence__gte=WORKERS_LOST)
        | idle & Q(cancel_asked_at__isnull=False)
    )


def due(now: datetime) -> JobQuerySet:
    """Jobs out of contact that are to be looked at again now, the longest due first."""
    return Job.objects.filter(status=Status.LOST_CONTACT, due_at__lte=now).exclude(hopeless(now)).order_by("due_at")


def turn() -> JobQuerySet:
    """What may begin, in the order in which it does."""
    return Job.objects.filter(may_begin()).order_by("rank", "id")


def take() -> Job | None:
    """Claims the job whose turn it is: one out of contact that is due, whose server may be half changed, else the first
    of what may begin; None when there is none. Workers that take at once get different jobs: PostgreSQL passes over
    what another one is taking, SQLite lets one transaction in at a time."""
    with transaction.atomic():
        first = _first(due(timezone.now())) or _first(turn())
        return _claim(first) if first else None


def _first(jobs: JobQuerySet) -> int | None:
    if connection.features.has_select_for_update_skip_locked:
        jobs = jobs.select_for_update(skip_locked=True)
    return jobs.values_list("pk", flat=True).first()


def claim(job_id: int) -> Job | None:
    """The job with a new fence and a lease, or None: somebody else has it, its turn has not come, or it is over."""
    with transaction.atomic():
        return _claim(job_id, ready())


def _claim(job_id: int, still: Q = Q()) -> Job | None:  # noqa: B008 - never changed
    """still: what else must be true of the job; one that this transaction has found and locked needs no second look."""
    now = timezone.now()
    claimed = _move(
        Job.objects.filter(still, pk=job_id),
        "claim",
        fence=F("fence") + 1,
        lease_until=lease_end(now),
        started_at=Coalesce(F("started_at"), now),
        due_at=None,
        outcome="",
        cause="",
        hint="",
    )
    return Job.objects.select_related("server__ssh_key", "batch__asked_by").get(pk=job_id) if claimed else None


def hold(job: Job, **fields) -> bool:
    """Renews the lease, together with `fields` of progress. False: the lease is lost, nothing was written."""
    return bool(_mine(job).filter(status=Status.RUNNING).update(lease_until=lease_end(), **fields))


def hold_many(jobs: list[Job]) -> set[int]:
    """Renews all these leases, in a few statements; the ids of those that are still ours."""
    held: set[int] = set()
    for fence in {job.fence for job in jobs}:
        ids = {job.pk for job in jobs if job.fence == fence}
        mine = Job.objects.filter(pk__in=ids, fence=fence, status=Status.RUNNING)
        renewed = mine.update(lease_until=lease_end())
        held |= ids if renewed == len(ids) else set(mine.values_list("pk", flat=True))
    return held


def finish(job: Job, ending: str, *, outcome: str, record: Callable[[], None] = lambda: None, **fields) -> bool:
    """Ends a run by one of ENDINGS and closes the steps it left open. False: the lease was lost before.

    record: writes what the run did, in the transaction that ends it.
    """
    if ending not in ENDINGS:
        raise ValueError(ending)
    now = timezone.now()
    left_open = JobStep.State.FAILED if ending in ("fail", "error") else JobStep.State.SKIPPED
    with transaction.atomic():
        ended = _move(
            _mine(job), ending, outcome=outcome, finished_at=now, lease_until=None, due_at=None, lost_at=None, **fields
        )
        if ended:
            record()
            close_steps(job, left_open, now)
    return bool(ended)


def close_steps(job: Job, state: JobStep.State, now: datetime) -> None:
    job.steps.filter(state=JobStep.State.RUNNING).update(state=state, finished_at=now)


def lose_contact(job: Job, *, outcome: str, cause: str = "lost-contact", hint: str = "") -> bool:
    """The run cannot tell how its work on the server went; the sweeper looks again later."""
    now = timezone.now()
    # A server that refuses our sign-in may ban us: it is asked twice in ten minutes.
    pause = SLOWEST_RETRY if cause in PATIENT else min(SLOWEST_RETRY, FIRST_RETRY * 2 ** min(job.fence - 1, 10))
    return bool(
        _move(
            _mine(job),
            "lose",
            outcome=outcome,
            cause=cause,
            hint=hint,
            lease_until=None,
            due_at=now + timedelta(seconds=pause),
            rung_at=None,
            lost_at=Coalesce(F("lost_at"), now),
        )
    )


def look_again(server: Server) -> int:
    """What kept the panel from a server is mended: its jobs out of contact need not sit out their pause."""
    return Job.objects.filter(server=server, status=Status.LOST_CONTACT).update(due_at=timezone.now(), rung_at=None)


def expire(now: datetime) -> int:
    """Jobs whose worker stopped renewing its lease lose contact and are due at once."""
    return _move(
        Job.objects.filter(lease_until__lt=now),
        "lose",
        outcome="The panel's worker stopped in the middle of this job.",
        cause="worker-lost",
        hint="Nothing to do: another worker takes the job up and looks at the server.",
        lease_until=None,
        due_at=now,
        rung_at=None,
        lost_at=Coalesce(F("lost_at"), now),
    )


def give_up(job: Job, *, outcome: str, cause: str, hint: str) -> bool:
    """Ends a job whose server stayed away. The fence rises, so a worker that still sleeps over it cannot act."""
    now = timezone.now()
    with transaction.atomic():
        ended = _move(
            _mine(job),
            "give-up",
            outcome=outcome,
            cause=cause,
            hint=hint,
            fence=F("fence") + 1,
            finished_at=now,
            due_at=None,
        )
        if ended:
            close_steps(job, JobStep.State.FAILED, now)
    return bool(ended)


def withdraw(job: Job, *, outcome: str, by: User | None = None) -> bool:
    """Cancels a job that has handed nothing to its server: one still queued, or lost before it came that far."""
    now = timezone.now()
    idle = Q(status=Status.QUEUED) | Q(submitted_at__isnull=True)
    with transaction.atomic():
        ended = _move(
            Job.objects.filter(idle, pk=job.pk),
            "withdraw",
            outcome=outcome,
            cause="cancelled",
            hint="",
            fence=F("fence") + 1,
            finished_at=now,
            due_at=None,
            lost_at=None,
            changed=False,
            cancel_asked_by=by,
            cancel_asked_at=now,
        )
        if ended:
            close_steps(job, JobStep.State.SKIPPED, now)
    return bool(ended)


def withdraw_many(jobs: JobQuerySet, *, outcome: str, cause: str, hint: str = "", by: User | None = None) -> int:
    """Cancels those of `jobs` nobody has begun, in one statement; how many. They have no steps to close."""
    now = timezone.now()
    return _move(
        jobs.filter(status=Status.QUEUED).order_by(),
        "withdraw",
        outcome=outcome,
        cause=cause,
        hint=hint,
        fence=F("fence") + 1,
        finished_at=now,
        changed=False,
        cancel_asked_by=by,
        cancel_asked_at=now if by else None,
    )


def ask_to_cancel(job: Job, *, by: User | None) -> bool:
    """Notes the wish; the run honours it between two steps, and a server out of contact is looked at once more.
    False: already noted, or no longer running."""
    asked = Job.objects.filter(
        pk=job.pk, status__in=(Status.RUNNING, Status.LOST_CONTACT), cancel_asked_at__isnull=True
    )
    now = timezone.now()
    return bool(asked.update(cancel_asked_by=by, cancel_asked_at=now, due_at=now, rung_at=None))
