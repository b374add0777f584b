"""How a job of a batch stands, in nine words, and what a whole batch makes of them: never red for one dead server."""

from dataclasses import dataclass
from hashlib import sha256

from django.db.models import Case, CharField, Count, Max, Q, QuerySet, Sum, Value, When

from servers.jobs.models import Job, Status
from servers.remote import errors

QUEUED, RUNNING, LOST = Status.QUEUED.value, Status.RUNNING.value, Status.LOST_CONTACT.value
CHANGED, UNCHANGED = "succeeded-changed", "succeeded-unchanged"
FAILED, UNREACHABLE, SKIPPED, CANCELLED = Status.FAILED.value, "unreachable", "skipped", Status.CANCELLED.value

ALL = (CHANGED, UNCHANGED, FAILED, UNREACHABLE, LOST, SKIPPED, CANCELLED, RUNNING, QUEUED)  # as a bar shows them
LIVE = (QUEUED, RUNNING, LOST)
SUCCEEDED = (CHANGED, UNCHANGED)

# Causes of the two that are not a status of their own. The connection check names the stage that failed.
NOT_REACHED = errors.UNREACHABLE | {"tcp", "ssh"}
LEFT_OUT = frozenset({"busy", "stopped", "window"})

EXPRESSION = Case(
    When(Q(status=Status.SUCCEEDED, changed=True), then=Value(CHANGED)),
    When(Q(status=Status.SUCCEEDED), then=Value(UNCHANGED)),
    When(Q(status=Status.FAILED, cause__in=sorted(NOT_REACHED)), then=Value(UNREACHABLE)),
    When(Q(status__in=(Status.FAILED, Status.ERRORED)), then=Value(FAILED)),
    When(Q(status=Status.CANCELLED, cause__in=sorted(LEFT_OUT)), then=Value(SKIPPED)),
    When(Q(status=Status.CANCELLED), then=Value(CANCELLED)),
    When(Q(status=Status.LOST_CONTACT), then=Value(LOST)),
    When(Q(status=Status.RUNNING), then=Value(RUNNING)),
    default=Value(QUEUED),
    output_field=CharField(),
)


def verdict(job: Job) -> str:
    """One of ALL: what EXPRESSION says in SQL."""
    if job.status == Status.SUCCEEDED:
        return CHANGED if job.changed else UNCHANGED
    if job.status == Status.FAILED and job.cause in NOT_REACHED:
        return UNREACHABLE
    if job.status in (Status.FAILED, Status.ERRORED):
        return FAILED
    if job.status == Status.CANCELLED:
        return SKIPPED if job.cause in LEFT_OUT else CANCELLED
    return str(job.status)


def only(jobs: QuerySet, word: str) -> QuerySet:
    """Those of `jobs` whose verdict is `word`, found by the index over batch and status first."""
    statuses = {
        CHANGED: [Status.SUCCEEDED],
        UNCHANGED: [Status.SUCCEEDED],
        FAILED: [Status.FAILED, Status.ERRORED],
        UNREACHABLE: [Status.FAILED],
        SKIPPED: [Status.CANCELLED],
    }.get(word, [word])
    return jobs.filter(status__in=statuses).annotate(verdict=EXPRESSION).filter(verdict=word)


@dataclass(frozen=True)
class Tally:
    """counts: {verdict: how many}, those nobody has left out. errored: of the failed, how many the panel broke.
    last_wave: number of the last one. retry_of: one of the jobs asked again here. stamp: changes with every move."""

    counts: dict[str, int]
    errored: int = 0
    last_wave: int = 0
    retry_of: int | None = None
    stamp: str = ""

    def of(self, *words: str) -> int:
        return sum(self.counts.get(word, 0) for word in words)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def live(self) -> int:
        return self.of(*LIVE)

    @property
    def finished(self) -> int:
        return self.total - self.live

    @property
    def troubled(self) -> int:
        return self.of(FAILED, UNREACHABLE, SKIPPED)

    @property
    def succeeded(self) -> int:
        return self.of(*SUCCEEDED)


def tallies(jobs: QuerySet) -> dict[int, Tally]:
    """{batch id: Tally} in one grouped statement, whatever the number of jobs and batches."""
    rows = (
        jobs.order_by()
        .annotate(verdict=EXPRESSION)
        .values("batch", "verdict", "status")
        .annotate(count=Count("pk"), let_loose=Count("released_at"), fences=Sum("fence"), last=Max("finished_at"))
        .annotate(last_wave=Max("wave"), first=Max("retry_of"))
    )
    batches: dict[int, list[dict]] = {}
    for row in rows:
        batches.setdefault(row["batch"], []).append(row)
    return {batch: _tally(rows) for batch, rows in batches.items()}


def tally(jobs: QuerySet) -> Tally:
    """The same for the jobs of one batch."""
    return next(iter(tallies(jobs).values()), Tally({}))


def _tally(rows: list[dict]) -> Tally:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + row["count"]
    facts = sorted((r["verdict"], r["status"], r["count"], r["let_loose"], r["fences"], str(r["last"])) for r in rows)
    return Tally(
        counts,
        errored=sum(row["count"] for row in rows if row["status"] == Status.ERRORED),
        last_wave=max(row["last_wave"] for row in rows),
        retry_of=max((row["first"] for row in rows if row["first"]), default=None),
        stamp=sha256(repr(facts).encode()).hexdigest()[:12],
    )


@dataclass(frozen=True)
class Grade:
    """slug: what the state tag shows. sentence: how the whole batch stands."""

    slug: str  # queued | running | done | partly | undone | failed
    sentence: str


def grade(tally: Tally) -> Grade:
    """Pure. Red only when servers said no and none has it; a dead server among many is a remark."""
    total, got = tally.total, tally.succeeded
    sentence = " ".join([_got(tally), *_rest(tally)])
    if tally.live:
        idle = tally.of(QUEUED) == total
        return Grade("queued" if idle else "running", sentence)
    if got == total:
        return Grade("done", sentence)
    if got:
        return Grade("partly", sentence)
    return Grade("failed" if tally.of(FAILED) else "undone", sentence)


def _got(tally: Tally) -> str:
    total, got = tally.total, tally.succeeded
    if tally.live:
        return f"{got} of {_servers(total)} {_is(got)} done so far."
    if got == total:
        return f"All {total} servers are done." if total > 1 else "The server is done."
    return f"{got} of {_servers(total)} {_is(got)} done." if got else f"None of {_servers(total)} is done."


def _rest(tally: Tally) -> list[str]:
    """What became of the others: one sentence for what is over, one for what goes on."""
    refused = tally.of(FAILED) - tally.errored
    over = [
        (tally.of(UNREACHABLE), "could not be reached"),
        (refused, "failed"),
        (tally.errored, "met a panel error"),
        (tally.of(SKIPPED), f"{_was(tally.of(SKIPPED))} skipped"),
        (tally.of(CANCELLED), f"{_was(tally.of(CANCELLED))} cancelled"),
    ]
    going = [
        (tally.of(RUNNING), f"{_is(tally.of(RUNNING))} running"),
        (tally.of(LOST), f"{_is(tally.of(LOST))} out of contact"),
        (tally.of(QUEUED), "wait" if tally.of(QUEUED) != 1 else "waits"),
    ]
    return [
        f"{', '.join(f'{n} {words}' for n, words in part if n)}." for part in (over, going) if any(n for n, _ in part)
    ]


def _servers(count: int) -> str:
    return f"{count} server{'' if count == 1 else 's'}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


WIDTH, LEAST = 1000, 8  # of a bar, and of the thinnest segment that is still seen


def segments(tally: Tally) -> list[dict]:
    """The bar: [{"verdict", "count", "x", "width"}] side by side, WIDTH together; one among thousands is still seen."""
    shown = [(word, tally.counts[word]) for word in ALL if tally.counts.get(word)]
    thin = {word for word, count in shown if count * WIDTH < LEAST * tally.total}
    thick = sum(count for word, count in shown if word not in thin)
    room = WIDTH - LEAST * len(thin)
    found, x = [], 0.0
    for word, count in shown:
        width = LEAST if word in thin else count * room / thick
        found.append({"verdict": word, "count": count, "x": f"{x:.1f}", "width": f"{width:.1f}"})
        x += width
    return found
