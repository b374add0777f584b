"""Alerts as a person may read them."""

from collections.abc import Iterable

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from servers import catalog
from servers.alerts import grouping
from servers.alerts.models import Alert, Trouble

SOME_PROVIDER = "the SMTP provider"


def lines(alerts: Iterable[Alert], viewer: User, hide) -> list[dict]:
    """[{"alert", "title", "hint", "number", "server"}] of rows from `with_counts(viewer)`. number: of its troubles, the
    open ones if there are any; server: that of one of them, None when it is about none.

    hide: servers.jobs.discretion.hide: (text, {private text: word}) -> text."""
    alerts = list(alerts)
    rows = Trouble.objects.filter(alert__in=alerts).visible_to(viewer).select_related("server")
    first = {trouble.alert_id: trouble for trouble in rows.order_by("-closed_at", "-pk")}
    private = private_words(viewer, {trouble.server_id for trouble in first.values() if trouble.server_id})
    shown = []
    for alert in alerts:
        trouble = first.get(alert.pk)
        server = trouble.server if trouble else None
        count = alert.still or alert.count
        words = dict(private.get(server.pk, {})) if server else {}
        if alert.provider and not may(viewer, Permission.USE_SHARED):
            words[alert.provider] = SOME_PROVIDER
        text = trouble.text if trouble and count == 1 else alert.text
        title = hide(grouping.title(text, count, server.name if server else ""), words)
        shown.append(
            {"alert": alert, "title": title, "hint": hide(alert.hint, words), "number": count, "server": server}
        )
    return shown


def private_words(viewer: User, servers: set) -> dict:
    """{server id: {text: word}} of all services."""
    found: dict = {}
    for service in catalog.services():
        for server, words in service.private(viewer, servers).items():
            found[server] = found.get(server, {}) | dict(words)
    return found
