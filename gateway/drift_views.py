"""The page that shows how a server differs from what we wrote there, and both ways out: keep it, or put ours back."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from gateway import adopting, choice, gateways, keeping
from gateway.models import Gateway
from gateway.postfix import paths
from servers.jobs.discretion import Discretion
from servers.jobs.launch import Archived, Busy
from servers.jobs.models import Batch, Job, Status
from servers.models import Server

CHANGES = ("gateway.install", "gateway.reinstall")
REFUSALS = (Busy, Archived, gateways.NothingWanted, adopting.Unknown, adopting.Refused)
HIDDEN = "hidden: it may name the provider"


@needs(Permission.VIEW)
def drift(request: HttpRequest, pk) -> HttpResponse:
    server = _server(request, pk)
    gateway = Gateway.objects.with_live_job().of(server)
    hidden, state = Discretion(request.user, [server.pk]), gateways.state_of(gateway)
    full = gateway.applied is not None and choice.knows_details(gateway.applied, request.user)
    last = Job.objects.filter(server=server, action__in=CHANGES, status=Status.SUCCEEDED).select_related(
        "batch__asked_by"
    )
    changes, diff = keeping.changes(gateway), gateway.diffs.get(paths.MAIN_CF, "")
    context = {
        "server": server,
        "gateway": gateway,
        "gateway_state": hidden.state(server.pk, state),
        "problems": hidden.hide(server.pk, gateway.problems),
        "differences": _told(adopting.differences(changes), full, lambda text: hidden.hide(server.pk, text)),
        "adoptable": sum(one.may_stay for one in adopting.differences(changes)),
        "shown": keeping.digest(changes),
        "form_url": _form_url(server, changes if full else {}),
        "kept": hidden.hide(server.pk, gateway.kept),
        "path": paths.MAIN_CF,
        "diff": diff if full else "",
        "withheld": bool(diff) and not full,
        "last": last.order_by("-id").first(),
    }
    return page.render(request, "gateway/drift.html", context)


@needs(Permission.RUN)
@require_POST
def adopt(request: HttpRequest, pk) -> HttpResponse:
    names, shown = request.POST.getlist("parameter"), request.POST.get("shown", "")
    return _asked(request, pk, lambda server: keeping.adopt(server, names, shown=shown, by=request.user))


@needs(Permission.RUN)
@require_POST
def stop_keeping(request: HttpRequest, pk) -> HttpResponse:
    names = request.POST.getlist("parameter")
    return _asked(request, pk, lambda server: keeping.stop(server, names, by=request.user))


@needs(Permission.RUN)
@require_POST
def reapply(request: HttpRequest, pk) -> HttpResponse:
    return _asked(request, pk, lambda server: gateways.ask("gateway.reinstall", [server], by=request.user))


def _server(request: HttpRequest, pk) -> Server:
    return get_object_or_404(Server.objects.visible_to(request.user).live(), pk=pk)


def _asked(request: HttpRequest, pk, ask: Callable[[Server], Batch]) -> HttpResponse:
    """To the job that was asked for, or back with the reason why there is none."""
    server = _server(request, pk)
    try:
        batch = ask(server)
    except REFUSALS as error:
        messages.error(request, f"{error} {error.hint}")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        return page.go(request, "jobs:job", batch.jobs.get().pk)
    return page.go(request, "gateway:drift", server.pk)


def _told(found: list[adopting.Difference], full: bool, hide: Callable) -> list[adopting.Difference]:
    """As this person may read them: what decides about the way may name a provider nobody told the panel about."""

    def value(one: adopting.Difference, text: str | None) -> str | None:
        return text if full or text is None else hide(text) if one.may_stay else HIDDEN

    return [replace(one, there=value(one, one.there), ours=value(one, one.ours)) for one in found]


def _form_url(server: Server, changes: adopting.Changes) -> str:
    """The form, filled in with the server mail goes to now, where main.cf names another."""
    way = adopting.way(changes.get("relayhost", [None])[0])
    query = f"?{urlencode({'provider': 'own:generic', **way})}" if way else ""
    return f"{reverse('servers:services', args=[server.pk])}{query}#gateway"
