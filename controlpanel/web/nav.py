"""The way around: what stands in the sidebar, for whom."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from controlpanel.access.gate import Permission, may


@dataclass(frozen=True)
class Entry:
    """`key`: the second key of the shortcut `g …`. `exact`: lit only on its own page, not below it."""

    label: str
    url_name: str
    icon: str
    permission: Permission
    key: str = ""
    exact: bool = False


PANEL = (
    Entry("Dashboard", "dashboard", "layout-dashboard", Permission.VIEW, "d", exact=True),
    Entry("Servers", "servers:list", "server-2", Permission.VIEW, "s"),
    Entry("Jobs", "jobs:list", "list-check", Permission.VIEW, "j"),
    Entry("Domains", "domains:list", "world", Permission.VIEW, "o"),
    Entry("Alerts", "alerts:list", "bell", Permission.VIEW, "n"),
)
SETTINGS = (
    Entry("Email gateway", "smarthosts:list", "mail-forward", Permission.SETTINGS, "e"),
    Entry("SSH keys", "keys:list", "key", Permission.EDIT_SERVERS, "k"),
    Entry("Alert settings", "alert-routes:list", "bell", Permission.SETTINGS),
    Entry("People", "people:list", "users", Permission.PEOPLE, "p"),
    Entry("Audit log", "audit:list", "history", Permission.AUDIT, "a"),
)


def _link(entry: Entry, path: str) -> dict:
    url = reverse(entry.url_name)
    active = path == url if entry.exact else path.startswith(url)
    return {"label": entry.label, "url": url, "icon": entry.icon, "key": entry.key, "active": active}


def sections(request: HttpRequest) -> list[dict]:
    """[{"label", "links": [{"label", "url", "icon", "key", "active"}]}], empty sections left out."""
    found = []
    for label, entries in (("", PANEL), ("Settings", SETTINGS)):
        links = [_link(entry, request.path) for entry in entries if may(request.user, entry.permission)]
        if links:
            found.append({"label": label, "links": links})
    return found
