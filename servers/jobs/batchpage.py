"""What the page of a batch and the list of batches show, in a number of statements that does not grow with the jobs."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Exists, F, Max, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from controlpanel.access.models import User
from controlpanel.web.listing import Filter, Listing
from controlpanel.web.words import LOOKS
from servers import catalog
from servers.jobs import incidents, launch, presence, report, story, telling, verdicts
from servers.jobs.discretion import Discretion
from servers.jobs.models import Batch, Job, JobStep, Pause, Status
from servers.jobs.verdicts import Tally
from servers.models import Server

CLOCK = 10  # seconds after which the clocks of running jobs are shown anew, when nothing else happened
# Of every row; a table of ten thousand is sorted faster without what nobody is shown.
_SHOWN = ("batch_id", "mutating", "status", "wave", "released_at", "started_at", "finished_at", "changed")
_SHOWN += ("outcome", "cause", "hint", "server__name")
WORDS = {word: LOOKS[word].word for word in verdicts.ALL}


def of_many(batches: QuerySet) -> QuerySet:
    """Those that asked more than one server."""
    return batches.filter(Exists(Job.objects.filter(batch=OuterRef("pk"), rank__gt=0)))


def summaries(batches: list[Batch], viewer: User) -> list[dict]:
    """Rows of the list: [{"batch", "title", "asker", "tally", "grade", "segments"}]."""
    tallies = verdicts.tallies(Job.objects.filter(batch__in=batches).visible_to(viewer))
    return [_summary(batch, tallies.get(batch.pk, Tally({})), viewer) for batch in batches]


def _summary(batch: Batch, tally: Tally, viewer: User) -> dict:
    return {
        "batch": batch,
        "title": launch.title(batch.action),
        "asker": story.person(batch.asked_by, viewer),
        "tally": tally,
        "grade": verdicts.grade(tally),
        "segments": verdicts.segments(tally),
    }


def version(batch: Batch, jobs: QuerySet, tally: Tally, pause: Pause | None, now: datetime) -> str:
    """Changes whenever the page of a live batch would show something new."""
    steps, tick = {}, 0
    if tally.of(verdicts.RUNNING):
        running = JobStep.objects.filter(job__in=jobs.filter(status=Status.RUNNING), state=JobStep.State.RUNNING)
        steps = running.aggregate(count=Count("pk"), last=Max("pk"))
        tick = int(now.timestamp()) // CLOCK
    due = int(bool(batch.starts_at and batch.starts_at > now))
    parts = (tally.stamp, batch.wave, due, int(batch.stopped_at is not None), pause.pk if pause else 0, *steps.values())
    return ".".join(map(str, (*parts, tick)))


def to_retry(jobs: QuerySet) -> QuerySet:
    """What "Retry failed servers" asks again: finished without success, and not asked again since."""
    since = Job.objects.filter(retry_of=OuterRef("pk"))
    archived = Server.objects.filter(archived_at__isnull=False)
    return jobs.unsuccessful().filter(~Exists(since)).exclude(server__in=archived)


def whole(batch: Batch, jobs: QuerySet) -> bool:
    """Whether somebody who sees these jobs sees the whole batch."""
    return jobs.count() == batch.jobs.count()


def context(
    request: HttpRequest, batch: Batch, jobs: QuerySet, tally: Tally, pause: Pause | None, version: str
) -> dict:
    """version: what the page tells when it asks again."""
    viewer = request.user
    troubles = incidents.found(jobs) if tally.troubled else []
    listing = _listing(request, jobs, troubles, report.compared(batch.action))
    rows, examples = list(listing.rows), incidents.examples(troubles[: incidents.SHOWN])
    seen = Discretion(viewer, {job.server_id for job in (*rows, *examples.values())})
    failed = tally.finished - tally.succeeded
    again = to_retry(jobs).count() if failed else 0
    together, together_template = report.together(jobs, batch.action, viewer) if tally.finished else ([], "")
    return _summary(batch, tally, viewer) | {
        "listing": listing,
        "rows": _rows(rows, batch, seen, pause),
        "columns": [heading for heading, _ in report.compared(batch.action)],
        "counts": _counts(tally, listing, any(job.mutating for job in rows)),
        "incidents": incidents.shown(troubles, examples, seen, viewer, batch.action),
        "together": together,
        "together_template": together_template,
        "poll_url": listing.url(page=listing.page.number, seen=version),
        "more_incidents": len(troubles) > incidents.SHOWN,
        "policy": telling.policy(batch),
        "wave": telling.wave(batch, tally.last_wave),
        "scheduled": (scheduled := bool(batch.starts_at and batch.starts_at > timezone.now())),
        "may_start": scheduled and story.allowed(batch.action, viewer) and whole(batch, jobs),
        "begins": telling.moment(batch.starts_at) if batch.starts_at else "",
        "narrowed_to": request.GET.get("cause", ""),
        "again": again,
        "retried_in": _retried_in(jobs) if again < failed else None,
        "retry_of": Batch.objects.filter(jobs=tally.retry_of).first() if tally.retry_of else None,
        "queued": tally.of(verdicts.QUEUED),
        "may_ask": story.allowed(batch.action, viewer),
        "dangerous": story.allowed(batch.action, viewer) and catalog.find(batch.action)[1].danger,
    }


def _retried_in(jobs: QuerySet) -> Batch | None:
    last = Job.objects.filter(retry_of__in=jobs.unsuccessful()).aggregate(last=Max("batch"))["last"]
    return Batch.objects.filter(pk=last).first()


def _listing(request: HttpRequest, jobs: QuerySet, troubles: list[incidents.Incident], columns) -> Listing:
    causes = {incident.key: incident for incident in troubles}
    filters = [
        Filter("state", "State", list(WORDS.items()), lambda found, word: verdicts.only(found, word)),
        Filter("cause", "", [(key, key) for key in causes], lambda found, key: causes[key].of(found)),
    ]
    sort = request.GET.get("sort", "").removeprefix("-")
    if sort == "state":
        jobs = jobs.annotate(verdict=verdicts.EXPRESSION)
    elif sort == "took":
        jobs = jobs.annotate(took=F("finished_at") - F("started_at"))
    return Listing(
        request,
        jobs.select_related("server").only(*_SHOWN, *(("result",) if columns else ())),
        search=("server__name__icontains",),
        filters=filters,
        sorts={"server": ("server__name", "pk"), "state": ("verdict", "server__name"), "took": ("took", "pk")},
        default_sort="server",
    )


def _counts(tally: Tally, listing: Listing, mutating: bool) -> list[dict]:
    """The states as links that narrow the table: [{"verdict", "count", "url", "active"}]."""
    chosen = next(choice["value"] for choice in listing.choices if choice["name"] == "state")
    return [
        {
            "verdict": word,
            "word": _word(word, mutating),
            "count": tally.counts[word],
            "url": listing.url(state="" if word == chosen else word),
            "active": word == chosen,
        }
        for word in verdicts.ALL
        if tally.counts.get(word)
    ]


def _rows(jobs: Iterable[Job], batch: Batch, seen: Discretion, pause: Pause | None) -> list[dict]:
    keys, now = [key for _, key in report.compared(batch.action)], timezone.now()
    at_step = _steps([job for job in jobs if job.status == Status.RUNNING], seen)
    workers = presence.workers_present()
    rows = []
    for job in jobs:
        seen.job(job)
        rows.append(
            {
                "job": job,
                "verdict": (word := verdicts.verdict(job)),
                "word": "Panel error" if job.status == Status.ERRORED else _word(word, job.mutating),
                "step": at_step.get(job.pk, ""),
                "waits": telling.waits(job, batch, pause=pause, workers=workers, now=now),
                "cells": [_cell(job.result.get(key)) for key in keys],
            }
        )
    return rows


def _word(verdict: str, mutating: bool) -> str:
    """Of a look or a test nobody asks whether it changed anything. "": the word of the table."""
    return LOOKS["succeeded"].word if verdict == verdicts.UNCHANGED and not mutating else ""


def _steps(running: list[Job], seen: Discretion) -> dict[int, str]:
    """{job id: title of the step it is at}."""
    jobs = {job.pk: job for job in running}
    steps = JobStep.objects.filter(job__in=list(jobs), state=JobStep.State.RUNNING) if jobs else ()
    return {step.job_id: seen.step(jobs[step.job_id], step).title for step in steps}


def _cell(value) -> dict:
    text = "" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
    return {"text": text, "state": text if text in LOOKS else ""}
