"""The page that shows how a server differs from what we wrote there, and the way back."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from gateway import choice, gateways
from gateway.models import Gateway
from servers.jobs.discretion import Discretion
from servers.jobs.launch import Archived, Busy
from servers.jobs.models import Job, Status
from servers.models import Server

CHANGES = ("gateway.install", "gateway.reinstall")


@needs(Permission.VIEW)
def drift(request: HttpRequest, pk) -> HttpResponse:
    server = get_object_or_404(Server.objects.visible_to(request.user).live(), pk=pk)
    gateway = Gateway.objects.with_live_job().of(server)
    hidden, state = Discretion(request.user, [server.pk]), gateways.state_of(gateway)
    full = gateway.applied is not None and choice.knows_details(gateway.applied, request.user)
    last = Job.objects.filter(server=server, action__in=CHANGES, status=Status.SUCCEEDED).select_related(
        "batch__asked_by"
    )
    context = {
        "server": server,
        "gateway": gateway,
        "gateway_state": hidden.state(server.pk, state),
        "problems": hidden.hide(server.pk, gateway.problems),
        "diffs": gateway.diffs if full else {},
        "withheld": bool(gateway.diffs) and not full,
        "last": last.order_by("-id").first(),
    }
    return page.render(request, "gateway/drift.html", context)


@needs(Permission.RUN)
@require_POST
def reapply(request: HttpRequest, pk) -> HttpResponse:
    server = get_object_or_404(Server.objects.visible_to(request.user).live(), pk=pk)
    try:
        batch = gateways.ask("gateway.reinstall", [server], by=request.user)
    except (Busy, Archived, gateways.NothingWanted) as error:
        messages.error(request, f"{error} {error.hint}")
        return page.go(request, "gateway:drift", server.pk)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return page.go(request, "gateway:drift", server.pk)
    return page.go(request, "jobs:job", batch.jobs.get().pk)
