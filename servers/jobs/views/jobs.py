"""Pages of jobs. A job is visible to whoever may see its server; everybody else gets 404."""

from collections.abc import Iterable

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from controlpanel.access.gate import Permission, may, needs
from controlpanel.web import page
from controlpanel.web.listing import Filter, Listing
from servers import catalog
from servers.jobs import incidents, launch, pauses, presence, story, telling
from servers.jobs.discretion import Discretion, told
from servers.jobs.models import Job, JobStep, Status
from servers.jobs.views.common import asked_again, pause_context, tabs
from servers.models import Server

SERVERS_IN_A_MENU = 300


@require_safe
@needs(Permission.VIEW)
def job_list(request: HttpRequest) -> HttpResponse:
    """Who is shown outcomes with words hidden searches only names: a search would tell the words by guessing."""
    in_full = may(request.user, Permission.SETTINGS)
    listing = Listing(
        request,
        Job.objects.visible_to(request.user).with_names().defer("result", "batch__options"),
        search=(_on_server, _with_outcome) if in_full else (_on_server,),
        filters=_filters(request),
        sorts={"asked": ("pk",), "server": ("server__name", "-pk"), "state": ("status", "-pk")},
        default_sort="-asked",
    )
    placeholder = "Search servers and what went wrong" if in_full else "Search servers"
    context = {"listing": listing, "rows": _rows(listing.rows, request.user), "placeholder": placeholder}
    context |= {"tabs": tabs("jobs:list")} | pause_context(request.user)
    return page.render(request, "jobs/list.html", context)


def _on_server(word: str) -> Q:
    return Q(server__in=Server.objects.filter(name__icontains=word).order_by().values("pk"))


def _with_outcome(word: str) -> Q:
    """What went well says the same everywhere, and reading a hundred thousand such sentences takes too long."""
    return ~Q(status=Status.SUCCEEDED) & Q(outcome__icontains=word)


def _filters(request: HttpRequest) -> list[Filter]:
    servers = list(Server.objects.visible_to(request.user).values_list("pk", "name")[: SERVERS_IN_A_MENU + 1])
    actions = [(f"{s.slug}.{a.slug}", a.label) for s in catalog.services() for a in s.actions]
    offered = [
        Filter("state", "State", Status.choices, lambda jobs, value: jobs.filter(status=value)),
        Filter("action", "Action", actions, lambda jobs, value: jobs.filter(action=value)),
    ]
    if len(servers) <= SERVERS_IN_A_MENU:
        options = [(str(pk), name) for pk, name in servers]
        offered.append(Filter("server", "Server", options, lambda jobs, value: jobs.filter(server=value)))
    return offered


def _rows(jobs: Iterable[Job], viewer) -> list[dict]:
    return [_row(job, viewer) for job in told(jobs, viewer)]


def _row(job: Job, viewer) -> dict:
    """`job`: as the viewer may read it."""
    return {"job": job, "title": launch.title(job.action), "asker": story.person(job.batch.asked_by, viewer)}


def _visible(request: HttpRequest, pk: int) -> Job:
    jobs = Job.objects.visible_to(request.user).with_names().select_related("cancel_asked_by", "retry_of")
    return get_object_or_404(jobs, pk=pk)


@require_safe
@needs(Permission.VIEW)
def job(request: HttpRequest, pk: int) -> HttpResponse:
    return page.render(request, "jobs/job.html", _context(request, _visible(request, pk)))


@require_safe
@needs(Permission.VIEW)
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """What htmx asks every second: only the clocks while nothing happened, 286 with the whole once it is over."""
    found = _visible(request, pk)
    if found.finished:
        return page.stop_polling(request, "jobs/job.html", _context(request, found))
    if request.GET.get("seen") == story.version(found, _waits(found)):
        running = found.steps.filter(state=JobStep.State.RUNNING)
        response = page.render(request, "jobs/_clocks.html", {"job": found, "running": running})
        response.headers["HX-Reswap"] = "none"
        return response
    return page.render(request, "jobs/job.html", _context(request, found))


def _waits(found: Job) -> str:
    """Why it has not begun yet."""
    if found.status != Status.QUEUED:
        return ""
    workers, pause = presence.workers_present(), pauses.current()
    return telling.waits(found, found.batch, pause=pause, workers=workers, now=timezone.now())


def _context(request: HttpRequest, found: Job) -> dict:
    seen = Discretion(request.user, [found.server_id])
    steps = story.steps(found, seen)
    may_ask = story.allowed(found.action, request.user)
    waits = _waits(found)
    return _row(seen.job(found), request.user) | {
        "steps": steps,
        "version": story.version(found, waits),
        "fix": incidents.mends([found], request.user, found.action).get(found.pk),
        "evidence": story.evidence(found, steps),
        "details": story.details(found),
        "canceller": story.person(found.cancel_asked_by, request.user),
        "waits": waits,
        "together": Job.objects.visible_to(request.user).filter(batch=found.batch_id).count(),
        "may_retry": may_ask and found.finished and not found.server.archived_at,
        "may_cancel": may_ask and found.live and not found.cancel_asked_at,
        "related": [_row(seen.job(job), request.user) for job in _related(found)],
        "dangerous": may_ask and catalog.find(found.action)[1].danger,
    }


def _related(found: Job):
    return Job.objects.filter(server=found.server_id).exclude(pk=found.pk).with_names().defer("result")[:5]


@require_safe
@needs(Permission.VIEW)
def log(request: HttpRequest, pk: int) -> HttpResponse:
    found = _visible(request, pk)
    text = story.raw_log(found, Discretion(request.user, [found.server_id]))
    return page.text_download(f"job-{found.pk}-{found.server.name}.txt", text)


@require_http_methods(["GET", "POST"])
@needs(Permission.RUN)
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """POST asks again. GET is the page of its own that a dangerous action has before it."""
    found = _visible(request, pk)
    if not story.allowed(found.action, request.user):
        raise Http404
    if request.method == "POST":
        return asked_again(request, Job.objects.filter(pk=pk), back=("jobs:job", pk))
    title = launch.title(found.action)
    context = {
        "heading": f"{title} on {found.server}, again?",
        "effects": [f"The same job as on {found.queued_at:%-d %B %Y} is done again on 1 server: {found.server}."],
        "verb": f"{title} on {found.server}",
        "cancel_url": reverse("jobs:job", args=[pk]),
    }
    return page.render(request, "components/confirm.html", context)


@require_POST
@needs(Permission.RUN)
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    found = _visible(request, pk)
    if not story.allowed(found.action, request.user):
        raise Http404
    if not launch.cancel(found, by=request.user):
        messages.info(request, "This job had ended already.")
    return page.go(request, "jobs:job", pk)
