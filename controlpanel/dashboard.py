"""The front page: which of mine need me?"""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

from controlpanel.access.gate import Permission, may, needs
from controlpanel.access.models import User
from controlpanel.web import page
from gateway.models import Gateway, Smarthost
from servers import catalog
from servers.jobs import launch, story
from servers.jobs.discretion import Discretion, told
from servers.jobs.models import Job, Status
from servers.models import Server

NEEDS_SHOWN = 8
JOBS_SHOWN = 8
WAITING_SHOWN = 5


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """For load balancers and container health checks: answers when the database does, and tells nothing else."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"ok": False}, status=503)
    return JsonResponse({"ok": True})


@needs(Permission.VIEW)
def dashboard(request: HttpRequest) -> HttpResponse:
    servers = list(Server.objects.visible_to(request.user).live().only("pk", "name", "reach", "findings"))
    found = _look(servers)
    needing = _needing(found, request.user)
    context = {
        "server_count": len(servers),
        "numbers": _numbers(found, request.user),
        "needing": _readable(needing[:NEEDS_SHOWN], request.user),
        "needing_more": len(needing) - NEEDS_SHOWN,
        "waiting": _waiting(request.user),
        "jobs": _last_jobs(request.user),
        "steps": _first_steps(request.user, servers, found),
    }
    return page.render(request, "dashboard.html", context)


@dataclass(frozen=True)
class Look:
    """A server and [(service, its state)]."""

    server: Server
    states: list[tuple[catalog.Service, catalog.State]]

    def has(self, word: str) -> bool:
        """As the server list's filter counts, so that a number and the list behind it agree."""
        return (word == "needs-you" and self.server.in_trouble) or any(state.word == word for _, state in self.states)


def _look(servers: list[Server]) -> list[Look]:
    services = [service for service in catalog.services() if not service.hidden]
    states = [(service, service.states(servers)) for service in services]
    absent = catalog.State("absent")
    return [Look(server, [(service, known.get(server.pk, absent)) for service, known in states]) for server in servers]


def _numbers(found: list[Look], user: User) -> list[dict]:
    servers, jobs = reverse("servers:list"), reverse("jobs:list")
    counts = Job.objects.visible_to(user).live().counts()
    queued = sum(row["queued"] for row in _queues(user))
    numbers = [
        {"slug": word, "value": sum(look.has(word) for look in found), "url": f"{servers}?state={word}"}
        for word in ("working", "needs-you", "absent")
    ]
    running = counts.get(Status.RUNNING, 0)
    later = counts.get(Status.QUEUED, 0)
    return [
        *numbers,
        {"slug": "deferred", "word": "Waiting mail", "value": queued, "url": "#waiting" if queued else servers},
        {
            "slug": "running",
            "word": "Running jobs",
            "value": running,
            "url": f"{jobs}?state=running",
            "note": f"{later} queued" if later else "",
        },
    ]


def _queues(user: User):
    mine = Gateway.objects.filter(server__in=Server.objects.visible_to(user).live(), queued__gt=0)
    return mine.order_by("-queued").values("server_id", "server__name", "queued")


def _waiting(user: User) -> list[dict]:
    return list(_queues(user)[:WAITING_SHOWN])


def _needing(found: list[Look], user: User) -> list[dict]:
    """[{"server", "reason", "url", "fix"}], one line a server: what blocks everything first."""
    lines = []
    for look in found:
        if look.server.in_trouble:
            lines.append(_unreachable(look.server, may(user, Permission.EDIT_SERVERS)))
        elif broken := next((pair for pair in look.states if pair[1].word == "needs-you"), None):
            service, state = broken
            url = reverse("servers:services", args=[look.server.pk])
            reason = f"{service.label}: {state.detail}" if state.detail else f"{service.label} does not work"
            fix = f"Fix {service.label.lower()}" if may(user, Permission.RUN) else "View services"
            lines.append({"server": look.server, "reason": reason, "url": url, "fix": fix})
    return lines


def _readable(lines: list[dict], user: User) -> list[dict]:
    seen = Discretion(user, [line["server"].pk for line in lines])
    return [line | {"reason": seen.hide(line["server"].pk, line["reason"])} for line in lines]


def _unreachable(server: Server, may_edit: bool) -> dict:
    page_of = {"server": server, "url": reverse("servers:server", args=[server.pk])}
    if server.reach == Server.Reach.KEY_CHANGED:
        fix = "Compare host key" if may_edit else "View server"
        return {**page_of, "reason": "The host key changed, so nothing is sent to it", "fix": fix}
    if server.reach == Server.Reach.KEY_OFFERED:
        fix = "Compare host key" if may_edit else "View server"
        return {**page_of, "reason": "Its host key waits to be compared and accepted", "fix": fix}
    failed = next((stage for stage in server.findings.get("stages", []) if stage.get("state") == "fail"), {})
    reason = failed.get("text") or failed.get("title") or "The last connection check failed"
    return {**page_of, "reason": reason, "fix": "Check connection" if may_edit else "View server"}


def _last_jobs(user: User) -> list[dict]:
    jobs = Job.objects.visible_to(user).with_names().defer("result", "batch__options")[:JOBS_SHOWN]
    return [
        {"job": job, "title": launch.title(job.action), "asker": story.person(job.batch.asked_by, user)}
        for job in told(jobs, user)
    ]


def _first_steps(user: User, servers: list[Server], found: list[Look]) -> list[dict]:
    """The way to the first working gateway, for those who may walk it; empty once one works."""
    if not may(user, Permission.SETTINGS) or any(look.has("working") for look in found):
        return []
    first = servers[0] if servers else None
    provider = Smarthost.objects.shared().exists()
    on_server = reverse("servers:services", args=[first.pk]) if first else ""
    steps = [
        ("Add SMTP provider", "Where mail goes: host, user name, password.", provider, reverse("smarthosts:add")),
        ("Add server", "Its address, its host key, and how to sign in.", bool(servers), reverse("servers:add")),
        ("Install email gateway", "On the server’s Services tab; a preview comes first.", False, on_server),
        ("Send test email", "And read the provider’s own reply.", False, ""),
    ]
    todo = next(number for number, step in enumerate(steps) if not step[2])
    return [
        {"title": title, "text": text, "done": done, "url": url, "next": number == todo}
        for number, (title, text, done, url) in enumerate(steps)
    ]
