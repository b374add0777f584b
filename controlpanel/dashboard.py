"""The front page: which of mine need me?"""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

from controlpanel import glance, testmails
from controlpanel.access.gate import Permission, may, needs
from controlpanel.access.models import User
from controlpanel.web import page
from gateway.models import Smarthost
from servers.alerts.models import Alert
from servers.jobs import pauses, story

NOW = "now"  # ?part=now: what changes by the minute, without the history below it


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
    user = request.user
    counts = glance.counts(user)
    context = {"counts": counts, "steps": _first_steps(user, counts)}
    if counts["servers"]:
        context |= _now(user, counts)
        if request.GET.get("part") != NOW:
            context |= testmails.history(user)
    return page.render(request, "dashboard.html", context)


def _now(user: User, counts: dict) -> dict:
    going, last = glance.batches(user)
    pause = pauses.current()
    return {
        "pause": pause,
        "pauser": story.person(pause.by, user) if pause else "",
        "alerts": Alert.objects.visible_to(user).open().count(),
        "numbers": glance.numbers(counts),
        "bar": glance.bar(counts),
        "seen": glance.seen(counts),
        "needing": glance.needing(user) if counts[glance.NEEDS] else [],
        "needing_count": counts[glance.NEEDS],
        "needing_url": glance.list_of(glance.NEEDS),
        "needing_more": counts[glance.NEEDS] - glance.SHOWN,
        "waiting": glance.waiting(user) if counts["queued"] else [],
        "waiting_count": counts[glance.MAIL],
        "waiting_url": glance.list_of(glance.MAIL),
        "going": going[: glance.SHOWN],
        "going_more": len(going) > glance.SHOWN,
        "jobs": last,
    }


def _first_steps(user: User, counts: dict) -> list[dict]:
    """The way to the first working gateway, for those who may walk it; empty once one works."""
    if not may(user, Permission.SETTINGS) or counts["working"]:
        return []
    first = glance.mine(user).only("pk").first() if counts["servers"] else None
    provider = Smarthost.objects.shared().exists()
    on_server = reverse("servers:services", args=[first.pk]) if first else ""
    steps = [
        ("Add SMTP provider", "Where mail goes: host, user name, password.", provider, reverse("smarthosts:add")),
        ("Add server", "Its address, its host key, and how to sign in.", bool(first), reverse("servers:add")),
        ("Install email gateway", "On the server’s Services tab; a preview comes first.", False, on_server),
        ("Send test email", "And read the provider’s own reply.", False, ""),
    ]
    todo = next(number for number, step in enumerate(steps) if not step[2])
    return [
        {"title": title, "text": text, "done": done, "url": url, "next": number == todo}
        for number, (title, text, done, url) in enumerate(steps)
    ]
