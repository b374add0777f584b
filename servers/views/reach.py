"""Which server a page is about, and what every page of one server shows around its content."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from servers import catalog, checking
from servers.jobs.discretion import Discretion
from servers.models import Server

TABS = (
    ("Overview", "servers:server", Permission.VIEW),
    ("Services", "servers:services", Permission.VIEW),
    ("Jobs", "servers:jobs", Permission.VIEW),
    ("Settings", "servers:settings", Permission.EDIT_SERVERS),
)


def one(request: HttpRequest, pk) -> Server:
    """The server, or 404 when this person may not see it."""
    visible = Server.objects.visible_to(request.user).select_related("jump", "ssh_key")
    return get_object_or_404(visible.prefetch_related("tags"), pk=pk)


def around(request: HttpRequest, server: Server, tab: str) -> dict:
    """Context of templates/servers/frame.html. `tab`: URL name of the page that is open."""
    tabs = [
        {"label": label, "url": reverse(name, args=[server.pk]), "active": name == tab, "count": None, "icon": None}
        for label, name, permission in TABS
        if may(request.user, permission)
    ]
    return {"server": server, "tabs": tabs, "states": states(server, request.user), "check": checking.live(server)}


def states(server: Server, viewer: User) -> list[dict]:
    """[{"label", "word", "detail"}] of every service that has a card, as `viewer` may read it."""
    shown, seen = [], Discretion(viewer, [server.pk])
    for service in catalog.services():
        if not service.hidden:
            state = service.states([server]).get(server.pk, catalog.State("absent"))
            shown.append({"label": service.label, "word": state.word, "detail": seen.hide(server.pk, state.detail)})
    return shown
