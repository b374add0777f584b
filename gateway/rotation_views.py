"""One SMTP provider: bringing its values to its servers, and putting its earlier password back. Administrators only."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from gateway import rotation, sharing
from gateway.models import Smarthost
from gateway.rotation_forms import RollOutForm
from servers.fields import Unreadable
from servers.jobs.launch import Busy
from servers.jobs.models import Batch

NAMES = 20  # of servers left out, shown for one reason


@needs(Permission.SETTINGS)
def roll_out(request: HttpRequest, pk) -> HttpResponse:
    smarthost = _smarthost(pk)
    sent = request.POST if request.method == "POST" else None
    try_all = "try_all" in (sent or request.GET)
    found = rotation.sorted_out(smarthost, try_all=try_all)
    form = RollOutForm(sent, servers=found.going)
    if sent is not None and form.is_valid():
        try:
            batch = rotation.roll_out(
                smarthost, by=request.user, policy=form.policy(), first=form.cleaned_data["first"], try_all=try_all
            )
        except (rotation.NothingBehind, Busy) as error:
            messages.error(request, _words(error))
            return page.go(request, "smarthosts:edit", smarthost.pk)
        return _followed(request, batch)
    answer = page.render if sent is None else page.refused
    return answer(request, "gateway/roll_out.html", _roll_out(smarthost, found, form, try_all))


def _roll_out(smarthost: Smarthost, found, form: RollOutForm, try_all: bool) -> dict:
    count = len(found.going)
    proved = "Prove on 1 server, then roll out to" if count > 1 else "Roll out to"
    out = [
        {
            "reason": out.reason,
            "names": out.names[:NAMES],
            "more": max(0, len(out.names) - NAMES),
            "count": len(out.names),
        }
        for out in found.left_out
    ]
    return {
        "smarthost": smarthost,
        "use": rotation.use(smarthost),
        "division": sharing.division(smarthost),
        "count": count,
        "left_out": out,
        "form": form,
        "try_all": try_all,
        "offers_try": try_all or any(out.can_try for out in found.left_out),
        "verb": f"{proved} {'all ' if count > 1 and not out else ''}{_servers(count)}",
        "cancel_url": reverse("smarthosts:edit", args=[smarthost.pk]),
    }


@needs(Permission.SETTINGS)
def roll_back(request: HttpRequest, pk) -> HttpResponse:
    smarthost = _smarthost(pk)
    if request.method == "POST":
        return _rolled_back(request, smarthost)
    taken, use = rotation.taken(smarthost).count(), rotation.use(smarthost)
    untouched = rotation.untouched(smarthost)
    effects = [
        "The earlier password is the present one again, and the present one is kept in its place.",
        f"{_servers(taken)} already run{'s' if taken == 1 else ''} on the present one, or may: the gateway is "
        "reinstalled there with the earlier one."
        if taken
        else "No server runs on the present one yet, so none is reached.",
    ]
    if untouched:
        effects.append(f"{_servers(untouched)} never left the earlier one and will not be touched.")
    if rest := use.installed - taken - untouched:
        effects.append(
            f"{_servers(rest)} were built from other values than the provider has now, and stay as they are until they "
            "are reinstalled."
        )
    return _confirm(request, smarthost, f"Put back the earlier password of {smarthost}", effects, calm=True)


def _rolled_back(request: HttpRequest, smarthost: Smarthost) -> HttpResponse:
    try:
        batch = rotation.roll_back(smarthost, by=request.user)
    except (rotation.NothingKept, Unreadable) as error:
        messages.error(request, _words(error))
        return page.go(request, "smarthosts:edit", smarthost.pk)
    messages.success(request, f"The earlier password of {smarthost} is the present one again.")
    return _followed(request, batch) if batch else page.go(request, "smarthosts:edit", smarthost.pk)


@needs(Permission.SETTINGS)
def forget(request: HttpRequest, pk) -> HttpResponse:
    smarthost = _smarthost(pk)
    if request.method == "POST":
        try:
            rotation.forget(smarthost, by=request.user)
            messages.success(request, f"The earlier password of {smarthost} was forgotten.")
        except rotation.NothingKept as error:
            messages.error(request, _words(error))
        return page.go(request, "smarthosts:edit", smarthost.pk)
    still = rotation.use(smarthost).earlier
    effects = [
        "The earlier password is deleted from this panel and cannot be put back.",
        f"{_servers(still)} still run{'s' if still == 1 else ''} on an earlier password. Nothing changes there until "
        "the gateway is reinstalled or the provider refuses it."
        if still
        else "No server runs on it.",
    ]
    return _confirm(request, smarthost, f"Forget the earlier password of {smarthost}", effects)


def _confirm(request: HttpRequest, smarthost: Smarthost, verb: str, effects: list[str], **more) -> HttpResponse:
    context = {"heading": verb, "verb": verb, "effects": effects, "smarthost": smarthost, **more}
    context["cancel_url"] = reverse("smarthosts:edit", args=[smarthost.pk])
    if not smarthost.keeps_previous:
        messages.error(request, _words(rotation.NothingKept()))
        return page.go(request, "smarthosts:edit", smarthost.pk)
    return page.render(request, "gateway/smarthost_confirm.html", context)


def _followed(request: HttpRequest, batch: Batch) -> HttpResponse:
    jobs = list(batch.jobs.values_list("pk", flat=True)[:2])
    return page.go(request, "jobs:job", jobs[0]) if len(jobs) == 1 else page.go(request, "jobs:batch", batch.pk)


def _smarthost(pk) -> Smarthost:
    return get_object_or_404(Smarthost.objects.shared(), pk=pk)


def _words(error: Exception) -> str:
    return f"{str(error) or (error.__doc__ or '').splitlines()[0]} {error.hint}"


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"
