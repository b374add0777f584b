"""What went wrong in a batch, once each: jobs of one cause in the same words are one incident with one fix."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from django.db.models import Count, F, Max, QuerySet, TextField, Value
from django.db.models.functions import Replace
from django.urls import reverse

from controlpanel.access.models import User
from servers import catalog
from servers.jobs import verdicts
from servers.jobs.discretion import Discretion
from servers.jobs.models import Job, Status

SHOWN = 6
_WORDS = (verdicts.FAILED, verdicts.UNREACHABLE, verdicts.SKIPPED)
_STATUSES = (Status.FAILED, Status.ERRORED, Status.CANCELLED)


@dataclass(frozen=True)
class Incident:
    """Jobs whose outcome says the same when each server's own name and address are left out.

    key: stable as long as nobody changes the words. last: id of the newest of these jobs.
    """

    verdict: str
    cause: str
    words: str
    count: int
    last: int

    @property
    def key(self) -> str:
        return sha256(repr((self.verdict, self.cause, self.words)).encode()).hexdigest()[:10]

    def of(self, jobs: QuerySet) -> QuerySet:
        """Those of `jobs` it happened to."""
        same = verdicts.only(jobs, self.verdict).filter(cause=self.cause)
        return same.annotate(words=_words()).filter(words=self.words)


def _words() -> Replace:
    nameless = Replace(F("outcome"), F("server__name"), Value("…"), output_field=TextField())
    return Replace(nameless, F("server__address"), Value("…"), output_field=TextField())


def found(jobs: QuerySet) -> list[Incident]:
    """The commonest first, at most SHOWN and one: the last one then stands for "and others"."""
    troubled = jobs.filter(status__in=_STATUSES).annotate(verdict=verdicts.EXPRESSION).filter(verdict__in=_WORDS)
    groups = (
        troubled.order_by()
        .annotate(words=_words())
        .values("verdict", "cause", "words")
        .annotate(count=Count("pk"), last=Max("pk"))
        .order_by("-count", "last")
    )
    return [Incident(**group) for group in groups[: SHOWN + 1]]


def examples(incidents: Iterable[Incident]) -> dict[int, Job]:
    """{id: the newest job of each incident}, with its result."""
    jobs = Job.objects.filter(pk__in=[incident.last for incident in incidents]).select_related("server")
    return {job.pk: job for job in jobs}


def shown(incidents: list[Incident], jobs: dict[int, Job], seen: Discretion, viewer: User, action: str) -> list[dict]:
    """For the page: [{"incident", "outcome", "hint", "evidence", "fix"}], in the words `viewer` may read.
    fix: (words, address) of a link, or None."""
    fixes = mends(jobs.values(), viewer, action)
    told = []
    for incident in incidents[:SHOWN]:
        job = seen.job(jobs[incident.last])
        alone = incident.count == 1
        page = (f"Open {job.server}", reverse("servers:server", args=[job.server_id])) if alone else None
        told.append(
            {
                "incident": incident,
                "outcome": job.outcome if alone else _of_all(job),
                "hint": job.hint,
                "evidence": str(job.result.get("evidence", "")),
                "fix": fixes.get(job.pk) or page,
            }
        )
    return told


def _of_all(job: Job) -> str:
    """What is told of one server, as it is true of the others too."""
    text = job.outcome.replace(f"{job.server.name}: ", "").replace(job.server.name, "the server")
    text = text.replace(job.server.address, "its address")
    return text[:1].upper() + text[1:]


def mends(jobs: Iterable[Job], viewer: User, action: str) -> dict[int, tuple[str, str]]:
    """{job id: (words, address)} of where its service says this failure is mended."""
    try:
        return catalog.find(action)[0].mends(viewer, jobs)
    except catalog.UnknownAction:
        return {}
