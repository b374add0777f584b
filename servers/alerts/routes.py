"""Verbs on routes, and the warning when every way to tell depends on the mail that may be broken."""

from collections.abc import Iterable

from django.db import transaction

from controlpanel.access import audit
from controlpanel.access.models import User
from servers.alerts.models import Limits, Route
from servers.remote.secret import Secret

ONLY_MAIL = (
    "Every route in use sends through one SMTP provider. When that provider is what fails, nobody hears of it. "
    "Add a fallback provider, a webhook or a chat service."
)
NOBODY = "No route is in use: alerts are shown in the panel and told to nobody."


@transaction.atomic
def save(route: Route, *, secret: Secret | None, target: Secret | None, by: User | str | None) -> Route:
    """secret, target: None leaves what is stored."""
    if secret is not None:
        route.secret = secret
    if target is not None:
        route.target = target
    new = route._state.adding
    route.save()
    audit.record(by, "added" if new else "changed", route, way=route.way, in_use=route.active)
    return route


@transaction.atomic
def delete(route: Route, *, by: User | str | None) -> None:
    audit.record(by, "deleted", route)
    route.delete()


@transaction.atomic
def limit(limits: Limits, *, by: User | str | None) -> None:
    limits.save()
    audit.record(
        by,
        "changed",
        ("alert limits", 1, "Limits"),
        failed_tests=limits.failed_tests,
        worker_minutes=limits.worker_minutes,
    )


def warning(routes: Iterable[Route]) -> str:
    """What is wrong with all routes together, in a sentence; "" when nothing is."""
    active = [route for route in routes if route.active]
    if not active:
        return NOBODY
    if any(route.way != Route.Way.EMAIL for route in active):
        return ""
    providers = {ident for route in active for ident in (route.provider, route.fallback) if ident}
    return ONLY_MAIL if len(providers) < 2 else ""
