"""Holding everything: while the panel is paused no job begins."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from servers.jobs import pauses

EFFECTS = [
    "Jobs that are running go on to their end.",
    "Nothing else begins, whoever asked for it, until somebody resumes.",
]


@require_http_methods(["GET", "POST"])
@needs(Permission.SETTINGS)
def pause(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        pauses.pause(by=request.user)
        return page.go(request, "jobs:list")
    context = {
        "heading": "Pause all jobs?",
        "effects": EFFECTS,
        "verb": "Pause all jobs",
        "cancel_url": reverse("jobs:list"),
        "calm": True,
    }
    return page.render(request, "components/confirm.html", context)


@require_POST
@needs(Permission.SETTINGS)
def resume(request: HttpRequest) -> HttpResponse:
    pauses.resume(by=request.user)
    return page.go(request, "jobs:list")
