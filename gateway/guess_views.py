"""To a form, dressed for the provider an address belongs to: of a shared account, or of a server's own values."""

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from gateway import guessing
from servers.models import Server


@needs(Permission.RUN)
@require_POST
def guess(request: HttpRequest, pk) -> HttpResponse:
    server = get_object_or_404(Server.objects.visible_to(request.user), pk=pk)
    filled = _found(request, "provider", "own:{}")
    return page.go(request, f"{reverse('servers:services', args=[server.pk])}?{urlencode(filled)}#gateway")


@needs(Permission.SETTINGS)
@require_POST
def guess_account(request: HttpRequest) -> HttpResponse:
    return page.go(request, f"{reverse('smarthosts:add')}?{urlencode(_found(request, 'preset', '{}'))}")


def _found(request: HttpRequest, field: str, value: str) -> dict[str, str]:
    """What the form is filled in with, `value` with the preset's slug under `field`; the person is told how it went."""
    try:
        found = guessing.look_up(request.POST.get("address", ""))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return {}
    (messages.info if found.preset else messages.warning)(request, found.text)
    filled = {field: value.format(found.preset.slug)} if found.preset else {}
    return filled | ({"sending_domain": found.domain} if found.own_domain else {})
