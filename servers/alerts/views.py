"""Alerts, and Settings → Alerts: who is told of them."""

from datetime import timedelta

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, may, needs
from controlpanel.web import page
from controlpanel.web.listing import Filter, Listing
from servers import bell
from servers.alerts import delivering, kinds, raising, routes, tasks, telling
from servers.alerts.forms import LimitsForm, RouteForm
from servers.alerts.models import Alert, Delivery, Limits, Route, Trouble
from servers.jobs.discretion import hide

_KIND = Filter("kind", "Kind", [(k, v.label) for k, v in kinds.KINDS.items()], lambda rows, v: rows.filter(kind=v))
SHOWN = timedelta(minutes=10)  # the result of a test alert, above the form
_PART = Filter("part", "", [("past", "History")], lambda rows, v: rows)  # kept in the addresses of further pages


@needs(Permission.VIEW)
def index(request: HttpRequest) -> HttpResponse:
    past = request.GET.get("part") == "past"
    mine = Alert.objects.visible_to(request.user)
    rows = mine.filter(closed_at__isnull=not past).with_counts(request.user)
    rows = rows.order_by("-closed_at", "-pk") if past else rows.worst_first()
    listing = Listing(request, rows, filters=[_KIND, _PART])
    here = reverse("alerts:list")
    tabs = [
        {"label": "Open", "url": here, "active": not past, "count": mine.open().count()},
        {"label": "History", "url": f"{here}?part=past", "active": past, "count": None},
    ]
    context = {"listing": listing, "past": past, "tabs": tabs}
    context["lines"] = telling.lines(listing.rows, request.user, hide)
    context["warning"] = routes.warning(Route.objects.all())
    return page.render(request, "alerts/list.html", context)


@needs(Permission.VIEW)
def alert(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Alert.objects.visible_to(request.user).with_counts(request.user), pk=pk)
    rows = Trouble.objects.filter(alert=found).visible_to(request.user).select_related("server")
    listing = Listing(request, rows.order_by("closed_at", "server__name", "pk"))
    private = telling.private_words(request.user, {row.server_id for row in listing.rows if row.server_id})
    line = telling.lines([found], request.user, hide)[0]
    names = may(request.user, Permission.USE_SHARED)
    secret = {} if names or not found.provider else {found.provider: telling.SOME_PROVIDER}
    troubles = [(row, hide(row.text, private.get(row.server_id, {}) | secret)) for row in listing.rows]
    context = {"line": line, "alert": found, "listing": listing, "troubles": troubles}
    if not found.closed_at and (may(request.user, Permission.SETTINGS) or not found.url.startswith("/settings/")):
        context["url"] = found.url
    if names:
        context["deliveries"] = Delivery.objects.filter(alert=found).select_related("route")[:50]
    return page.render(request, "alerts/alert.html", context)


@needs(Permission.SETTINGS)
@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Alert, pk=pk)
    if raising.close(found, by=request.user):
        messages.success(request, "The alert is closed. It opens again when the trouble is seen again.")
    return page.go(request, "alerts:list")


@needs(Permission.SETTINGS)
def settings(request: HttpRequest) -> HttpResponse:
    form = LimitsForm(request.POST or None, instance=Limits.current())
    if request.method == "POST" and form.is_valid():
        routes.limit(form.instance, by=request.user)
        messages.success(request, "The limits were saved.")
        return page.go(request, "alert-routes:list")
    rows = list(Route.objects.all())
    last = {}
    for delivery in Delivery.objects.filter(route__in=rows, at__isnull=False).order_by("at")[:500]:
        last[delivery.route_id] = delivery
    context = {"lines": [(row, last.get(row.pk)) for row in rows], "form": form, "warning": routes.warning(rows)}
    context["ways"] = Route.Way.choices
    status = page.REFUSED if request.method == "POST" else 200
    return page.render(request, "alerts/routes.html", context, status=status)


@needs(Permission.SETTINGS)
@sensitive_post_parameters()
def add(request: HttpRequest, way: str) -> HttpResponse:
    if way not in Route.Way.values:
        raise Http404
    return _edit(request, Route(way=way))


@needs(Permission.SETTINGS)
@sensitive_post_parameters()
def edit(request: HttpRequest, pk) -> HttpResponse:
    return _edit(request, get_object_or_404(Route, pk=pk))


def _edit(request: HttpRequest, route: Route) -> HttpResponse:
    form = RouteForm(request.POST or None, instance=route)
    context = {"form": form, "route": route, "new": route._state.adding}
    if not context["new"]:
        context["deliveries"] = route.deliveries.select_related("alert")[:20]
        context["tested"] = _tested(route)
    if request.method != "POST":
        return page.render(request, "alerts/route.html", context)
    if not form.is_valid():
        return page.refused(request, "alerts/route.html", context)
    saved = form.save(by=request.user)
    messages.success(request, f"{saved} was saved. Send a test alert to see that it arrives.")
    if warning := routes.warning(Route.objects.all()):
        messages.warning(request, warning)
    return page.go(request, "alert-routes:edit", pk=saved.pk)


def _tested(route: Route) -> Delivery | None:
    """The test alert somebody is waiting for, or has just waited for."""
    fresh = Q(state=Delivery.State.WAITING) | Q(at__gt=timezone.now() - SHOWN)
    return route.deliveries.filter(fresh, event="test").first()


@needs(Permission.SETTINGS)
@require_POST
def test(request: HttpRequest, pk) -> HttpResponse:
    route = get_object_or_404(Route, pk=pk)
    asked = delivering.ask_trial(route)
    bell.ring(tasks.deliver, asked.pk)
    return page.go(request, "alert-routes:edit", pk=route.pk)


@needs(Permission.SETTINGS)
def delete(request: HttpRequest, pk) -> HttpResponse:
    route = get_object_or_404(Route, pk=pk)
    if request.method == "POST":
        routes.delete(route, by=request.user)
        messages.success(request, f"{route} was deleted.")
        return page.go(request, "alert-routes:list")
    context = {
        "heading": f"Delete {route}",
        "effects": ["Nobody is told over this route any more.", "Its record of what was sent is deleted."],
        "verb": f"Delete {route}",
        "cancel_url": reverse("alert-routes:list"),
    }
    return page.render(request, "components/confirm.html", context)
