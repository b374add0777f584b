"""To the form of one server's own values, dressed for the provider an address belongs to."""

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
    filled = {}
    try:
        found = guessing.look_up(request.POST.get("address", ""))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        (messages.info if found.preset else messages.warning)(request, found.text)
        filled |= {"provider": f"own:{found.preset.slug}"} if found.preset else {}
        filled |= {"sending_domain": found.domain} if found.own_domain else {}
    return page.go(request, f"{reverse('servers:services', args=[server.pk])}?{urlencode(filled)}#gateway")
