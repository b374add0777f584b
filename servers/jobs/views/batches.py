"""Pages of batches: of each batch a person is shown only the jobs on servers they may see."""

import json

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from controlpanel.web.listing import Listing, csv_response
from servers.jobs import batchpage, launch, report, rollout, story, telling, verdicts
from servers.jobs.models import Batch
from servers.jobs.views.common import asked_again, pause_context, tabs


@require_safe
@needs(Permission.VIEW)
def batches(request: HttpRequest) -> HttpResponse:
    asked = batchpage.of_many(Batch.objects.visible_to(request.user)).select_related("asked_by").defer("options")
    listing = Listing(request, asked, per_page=25)
    rows = batchpage.summaries(list(listing.rows), request.user)
    context = {"listing": listing, "rows": rows, "tabs": tabs("jobs:batches")}
    return page.render(request, "jobs/batches.html", context | pause_context(request.user))


@require_safe
@needs(Permission.VIEW)
def batch(request: HttpRequest, pk: int) -> HttpResponse:
    """What htmx asks again every two seconds while jobs are live: 204 while nothing moved, 286 once all is over."""
    found, jobs = _batch(request, pk)
    counted = verdicts.tally(jobs)
    pause = pause_context(request.user)
    version = batchpage.version(found, jobs, counted, pause["pause"], timezone.now())
    if request.htmx and counted.live and request.GET.get("seen") == version:
        return HttpResponse(status=204)
    context = batchpage.context(request, found, jobs, counted, pause["pause"], version)
    answer = page.render if counted.live else page.stop_polling
    return answer(request, "jobs/batch.html", context | pause)


def _batch(request: HttpRequest, pk: int):
    found = get_object_or_404(Batch.objects.visible_to(request.user).select_related("asked_by"), pk=pk)
    return found, found.jobs.visible_to(request.user)


@require_safe
@needs(Permission.VIEW)
def report_csv(request: HttpRequest, pk: int) -> HttpResponse:
    found, jobs = _batch(request, pk)
    return csv_response(f"batch-{pk}.csv", report.header(found.action), report.rows(jobs, found.action, request.user))


@require_safe
@needs(Permission.VIEW)
def report_json(request: HttpRequest, pk: int) -> HttpResponse:
    found, jobs = _batch(request, pk)
    counted = verdicts.tally(jobs)
    keys = report.header(found.action)
    told = {
        "batch": found.pk,
        "action": found.action,
        "title": launch.title(found.action),
        "asked_by": story.person(found.asked_by, request.user),
        "asked_at": found.asked_at.isoformat(timespec="seconds"),
        "policy": telling.policy(found),
        "stopped": found.stopped_reason,
        "verdict": verdicts.grade(counted).sentence,
        "counts": {word: counted.of(word) for word in verdicts.ALL},
        "together": report.together(jobs, found.action, request.user)[0],
        "servers": [dict(zip(keys, row, strict=True)) for row in report.rows(jobs, found.action, request.user)],
    }
    headers = {"Content-Disposition": f'attachment; filename="batch-{pk}.json"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(json.dumps(told, indent=1), content_type="application/json", headers=headers)


@require_http_methods(["GET", "POST"])
@needs(Permission.RUN)
def retry_batch(request: HttpRequest, pk: int) -> HttpResponse:
    """POST asks again. GET is the page of its own that a dangerous action has before it."""
    found, jobs = _batch(request, pk)
    if not story.allowed(found.action, request.user):
        raise Http404
    again = batchpage.to_retry(jobs)
    if request.method == "POST":
        return asked_again(request, again, back=("jobs:batch", pk))
    title, count, care = launch.title(found.action), again.count(), telling.policy(rollout.again(found))
    servers = f"{count} server{'' if count == 1 else 's'}"
    context = {
        "heading": f"{title} on {servers}, again?",
        "effects": [f"The same job is done again on {servers} where it did not succeed.", *([care] if care else [])],
        "verb": f"{title} on {servers}",
        "cancel_url": reverse("jobs:batch", args=[pk]),
    }
    return page.render(request, "components/confirm.html", context)


@require_POST
@needs(Permission.RUN)
def start_batch(request: HttpRequest, pk: int) -> HttpResponse:
    found, jobs = _batch(request, pk)
    if not story.allowed(found.action, request.user) or not batchpage.whole(found, jobs):
        raise Http404
    if not launch.start_now(found, by=request.user):
        messages.info(request, "This batch no longer waits for its time.")
    return page.go(request, "jobs:batch", pk)


@require_POST
@needs(Permission.RUN)
def cancel_batch(request: HttpRequest, pk: int) -> HttpResponse:
    found, jobs = _batch(request, pk)
    if not story.allowed(found.action, request.user):
        raise Http404
    launch.cancel_queued(found, jobs, by=request.user)
    return page.go(request, "jobs:batch", pk)
