"""Domains: what DNS says about the domains mail is sent from."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST, require_safe

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from controlpanel.web.listing import Filter, Listing
from gateway.deliverability import bell, domains
from gateway.deliverability.findings import ASIDE, FAIL, OK, UNKNOWN, WARN
from gateway.deliverability.models import Domain, State, knows_all

AREAS = ("spf", "dkim", "dmarc", "return-path", "mx", "server", "blocklist", "tls")
SHOWN = 20  # changes
_STATES = Filter("state", "State", State.choices, lambda rows, value: rows.filter(state=value))


def _visible(request: HttpRequest):
    return Domain.objects.listed().visible_to(request.user)


def _domain(request: HttpRequest, name: str) -> Domain:
    return get_object_or_404(_visible(request), name=name)


@require_safe
@needs(Permission.VIEW)
def index(request: HttpRequest) -> HttpResponse:
    return _index(request)


def _index(request: HttpRequest, typed: str = "", complaint: str = "") -> HttpResponse:
    listing = Listing(request, _visible(request), search=("name__icontains",), filters=(_STATES,))
    context = {"listing": listing, "rows": listing.rows, "typed": typed, "complaint": complaint}
    context["waiting"] = _visible(request).waiting().count()
    render = page.refused if complaint else page.render
    return render(request, "deliverability/domains.html", context)


@needs(Permission.VIEW)
def domain_page(request: HttpRequest, name: str) -> HttpResponse:
    return _page(request, _domain(request, name))


def _page(request: HttpRequest, domain: Domain, typed: str | None = None, complaint: str = "") -> HttpResponse:
    found = sorted(domain.report.get("findings", ()), key=lambda f: AREAS.index(f["area"]))
    aside = [f for f in found if f["state"] == UNKNOWN and f["area"] in ASIDE]
    senders = domains.senders(domain.name)
    context = {
        "domain": domain,
        "troubles": [f for state in (FAIL, WARN, UNKNOWN) for f in found if f["state"] == state and f not in aside],
        "aside": aside,
        "right": [f for f in found if f["state"] == OK],
        "publish": domain.report.get("publish", ()),
        "tree": _lines(domain.report.get("tree")),
        "senders": [sender.label for sender in senders],
        "own_selectors": domains.own_selectors(senders),
        "changes": domain.checks.defer("report")[:SHOWN] if knows_all(request.user) else (),
        "typed": domain.selectors if typed is None else typed,
        "complaint": complaint,
    }
    render = page.refused if complaint else page.render
    return render(request, "deliverability/domain.html", context)


@require_POST
@needs(Permission.VIEW)
def check(request: HttpRequest, name: str) -> HttpResponse:
    domains.ask([_domain(request, name)], bell.check)
    return page.go(request, "domains:domain", name)


@require_POST
@needs(Permission.SETTINGS)
def check_all(request: HttpRequest) -> HttpResponse:
    domains.ask_many(list(_visible(request)), bell.work)
    return page.go(request, "domains:list")


@require_POST
@needs(Permission.SETTINGS)
def add(request: HttpRequest) -> HttpResponse:
    name = request.POST.get("name", "")
    try:
        domain = domains.add(name, by=request.user)
    except ValidationError as error:
        return _index(request, name[:253], " ".join(error.messages))
    domains.ask([domain], bell.check)
    return page.go(request, "domains:domain", domain.name)


@require_POST
@needs(Permission.SETTINGS)
def selectors(request: HttpRequest, name: str) -> HttpResponse:
    domain, typed = _domain(request, name), request.POST.get("selectors", "")
    try:
        domains.set_selectors(domain, typed, by=request.user)
    except ValidationError as error:
        return _page(request, domain, typed[:2000], " ".join(error.messages))
    domains.ask([domain], bell.check)
    return page.go(request, "domains:domain", name)


@require_POST
@needs(Permission.SETTINGS)
def remove(request: HttpRequest, name: str) -> HttpResponse:
    domain = _domain(request, name)
    domains.remove(domain, by=request.user)
    messages.success(request, f"{name} was taken off the list.")
    return page.go(request, "domains:list")


def _lines(node: dict | None, depth: int = 0) -> list[dict]:
    """A tree as lines with their depth."""
    if not node:
        return []
    below = [line for child in node["children"] for line in _lines(child, depth + 1)]
    return [node | {"indent": "\u2003" * depth}, *below]
