"""The doors of a diagnosis: ask for one, read one."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from gateway import gateways, mending, panel
from gateway.choice import knows_details
from gateway.models import Gateway, Smarthost
from servers.jobs.discretion import told
from servers.jobs.launch import launch
from servers.jobs.models import Job
from servers.models import Server
from servers.views.server import services_page

REPLIES = {"2": "good", "3": "good", "4": "later", "5": "no"}


@needs(Permission.RUN)
@require_POST
@sensitive_post_parameters()
def diagnose(request: HttpRequest, pk) -> HttpResponse:
    """With the values of the form, saved or not yet; installed or not."""
    server, gateway = _gateway(request, pk)
    shown = panel.asked(request, server, gateway, data=request.POST)
    smarthost = shown.form.save(by=request.user) if shown.form.is_valid() else None
    if smarthost is None:
        cards = {"gateway": panel.context(request, server, shown)}
        return services_page(request, server, cards, page.REFUSED)
    batch = launch("gateway.diagnose", [server], by=request.user, options={"smarthost": str(smarthost.pk)})
    return page.go(request, "gateway:diagnosed", server.pk, batch.jobs.get().pk)


@needs(Permission.VIEW)
@require_safe
def diagnosed(request: HttpRequest, pk, job) -> HttpResponse:
    server, gateway = _gateway(request, pk)
    (job,) = told([get_object_or_404(Job, pk=job, server=server, action="gateway.diagnose")], request.user)
    found = job.result.get("diagnosis", {})
    smarthost = _smarthost(job, gateway)
    full = smarthost is None or knows_details(smarthost, request.user)
    context = {
        "server": server,
        "job": job,
        "found": found,
        "full": full,
        "lines": [_line(line) for line in found.get("transcript", [])] if full else [],
        "mend_url": mending.put_in(request.user, server.pk, smarthost, found),
        "has_ipv6": any(row["ipv6"] for row in found.get("ports", [])),
    }
    answer = page.stop_polling if job.finished else page.render
    return answer(request, "gateway/diagnosis.html", context)


def _line(line: str) -> dict:
    """kind: the class of a reply, "said" for what we said, "note" for the rest."""
    if line.startswith("S: "):
        return {"kind": REPLIES.get(line[3:4], "note"), "text": line}
    return {"kind": "said" if line.startswith("C: ") else "note", "text": line}


def _smarthost(job: Job, gateway: Gateway) -> Smarthost | None:
    if asked := job.batch.options.get("smarthost"):
        return Smarthost.objects.filter(pk=asked).first()
    return gateway.wanted or gateway.applied or gateways.fallback(job.batch.asked_by)


def _gateway(request: HttpRequest, pk) -> tuple[Server, Gateway]:
    server = get_object_or_404(Server.objects.visible_to(request.user).live(), pk=pk)
    return server, Gateway.objects.of(server)
