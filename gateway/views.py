"""The doors of one server's email gateway. The cards themselves are drawn by the Services tab (see gateway.panel)."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, may, needs
from controlpanel.web import page
from gateway import choice, gateways, mailtest, panel
from gateway.models import Gateway, Smarthost
from gateway.server_forms import TestForm, UninstallForm
from servers.jobs.discretion import told
from servers.jobs.launch import Archived, Busy, launch
from servers.jobs.models import Job
from servers.models import Server
from servers.views.server import services_page


@needs(Permission.RUN)
@require_POST
@sensitive_post_parameters()
def install(request: HttpRequest, pk) -> HttpResponse:
    server, gateway = _gateway(request, pk)
    candidate = _candidate(request, server)
    shown = None if candidate else panel.asked(request, server, gateway, data=request.POST)
    smarthost = candidate or (shown.form.save(by=request.user) if shown.form.is_valid() else None)
    if smarthost is None:
        return _cards(request, server, shown, status=page.REFUSED)
    action = "gateway.reinstall" if gateway.installed else "gateway.install"
    options = {"replace_mta": True} if request.POST.get("replace_mta") else {}
    return _launched(request, server, action, smarthost, options)


@needs(Permission.RUN)
@require_POST
@sensitive_post_parameters()
def preview(request: HttpRequest, pk) -> HttpResponse:
    server, gateway = _gateway(request, pk)
    shown = panel.asked(request, server, gateway, data=request.POST)
    smarthost = shown.form.save(by=request.user) if shown.form.is_valid() else None
    if smarthost is None:
        return _cards(request, server, shown, status=page.REFUSED)
    options = {"smarthost": str(smarthost.pk), "replace_mta": bool(request.POST.get("replace_mta"))}
    batch = launch("gateway.preview", [server], by=request.user, options=options)
    return page.go(request, "gateway:previewed", server.pk, batch.jobs.get().pk)


@needs(Permission.VIEW)
def previewed(request: HttpRequest, pk, job) -> HttpResponse:
    server, gateway = _gateway(request, pk)
    (job,) = told([get_object_or_404(Job, pk=job, server=server, action="gateway.preview")], request.user)
    candidate = Smarthost.objects.filter(pk=job.batch.options.get("smarthost")).first()
    context = {
        "server": server,
        "gateway": gateway,
        "job": job,
        "plan": job.result.get("preview", {}),
        "candidate": candidate,
        "provider_value": _provider_value(candidate, request),
        "full": candidate is None or choice.knows_details(candidate, request.user),
    }
    answer = page.stop_polling if job.finished else page.render
    return answer(request, "gateway/preview.html", context)


@needs(Permission.RUN)
def uninstall(request: HttpRequest, pk) -> HttpResponse:
    server, gateway = _gateway(request, pk)
    form = UninstallForm(request.POST or None, gateway=gateway, mail_waits=panel.mail_waits(gateway))
    if request.method == "POST" and form.is_valid():
        return _launched(request, server, "gateway.uninstall", None, form.cleaned_data)
    context = {
        "server": server,
        "form": form,
        "heading": f"Uninstall the email gateway from {server}",
        "effects": panel.uninstall_effects(gateway),
        "verb": f"Uninstall gateway from {server}",
        "cancel_url": reverse("servers:services", args=[server.pk]),
    }
    return page.render(request, "gateway/uninstall.html", context)


@needs(Permission.RUN)
@require_POST
def check(request: HttpRequest, pk) -> HttpResponse:
    server, _ = _gateway(request, pk)
    batch = launch("gateway.check", [server], by=request.user)
    return page.go(request, "jobs:job", batch.jobs.get().pk)


@needs(Permission.RUN)
@require_POST
def test(request: HttpRequest, pk) -> HttpResponse:
    server, gateway = _gateway(request, pk)
    if not gateway.installed:
        raise Http404
    form = TestForm(request.POST)
    if not form.is_valid():
        return _cards(request, server, test=form, status=page.REFUSED)
    batch = launch("gateway.test", [server], by=request.user, options=form.options())
    if request.htmx:  # the result appears below the form, which keeps what was typed
        return _cards(request, server, test=form)
    return page.go(request, "gateway:tested", server.pk, batch.jobs.get().pk)


@needs(Permission.VIEW)
def tested(request: HttpRequest, pk, job) -> HttpResponse:
    server, gateway = _gateway(request, pk)
    job = get_object_or_404(Job, pk=job, server=server, action="gateway.test")
    context = {"server": server, "gateway": gateway} | mailtest.shown(job, request.user)
    answer = page.stop_polling if job.finished else page.render
    return answer(request, "gateway/tested.html", context)


def _gateway(request: HttpRequest, pk) -> tuple[Server, Gateway]:
    server = get_object_or_404(Server.objects.visible_to(request.user).live(), pk=pk)
    return server, Gateway.objects.of(server)


def _provider_value(candidate: Smarthost | None, request: HttpRequest) -> str:
    shared = candidate is not None and may(request.user, Permission.USE_SHARED)
    return f"shared:{candidate.pk}" if shared else choice.KEEP


def _cards(request: HttpRequest, server: Server, shown=None, *, test=None, status: int = 200) -> HttpResponse:
    return services_page(request, server, {"gateway": panel.context(request, server, shown, test)}, status)


def _candidate(request: HttpRequest, server: Server) -> Smarthost | None:
    """The values of a preview that are now to be installed: the server's own, which nobody has to type again."""
    asked = request.POST.get("candidate")
    return get_object_or_404(server.own_smarthosts, pk=asked) if asked else None


def _launched(request: HttpRequest, server: Server, action: str, smarthost, options: dict) -> HttpResponse:
    try:
        batch = (
            gateways.ask(action, [server], smarthost, by=request.user, options=options)
            if smarthost
            else launch(action, [server], by=request.user, options=options)
        )
    except (Busy, Archived) as error:
        messages.error(request, f"{error} {error.hint}")
        return page.go(request, f"{reverse('servers:services', args=[server.pk])}")
    return page.go(request, "jobs:job", batch.jobs.get().pk)
