"""The provider select of a server's form: a shared account by name, what is there already, or own values."""

import uuid
from dataclasses import dataclass

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway.models import Gateway, Smarthost
from gateway.providers import presets
from gateway.providers.preset import Preset

KEEP = "keep"


@dataclass(frozen=True)
class Choice:
    """Either `smarthost`, taken as it is, or `preset`, dressing the fields for own values."""

    value: str  # "shared:<id>" | "keep" | "own:<preset>"
    smarthost: Smarthost | None = None
    preset: Preset | None = None


def offered(user: User, gateway: Gateway) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of (value, label), only those this person may know of."""
    groups = []
    if may(user, Permission.USE_SHARED):
        shared = Smarthost.objects.shared().only("id", "name", "is_default")
        labels = [(f"shared:{row.pk}", f"{row.name} (default)" if row.is_default else row.name) for row in shared]
        groups.append(("SMTP providers of this panel", labels))
    elif _set_by_others(gateway):
        groups.append(("Present", [(KEEP, "Set up by your administrator")]))
    groups.append(("Own values for this server", [(f"own:{preset.slug}", preset.label) for preset in presets.all()]))
    return [group for group in groups if group[1]]


def present(user: User, gateway: Gateway) -> Choice:
    """Where the select stands before anybody touched it."""
    wanted = gateway.wanted
    if wanted is not None and wanted.server_id:
        return _own(wanted.preset)
    if wanted is not None:
        shared = may(user, Permission.USE_SHARED)
        return Choice(f"shared:{wanted.pk}" if shared else KEEP, smarthost=wanted)
    default = Smarthost.objects.default() if may(user, Permission.USE_SHARED) else None
    return Choice(f"shared:{default.pk}", smarthost=default) if default else _own("generic")


def parse(value: str, user: User, gateway: Gateway) -> Choice | None:
    """None for what was not offered to this person."""
    kind, _, key = value.partition(":")
    if kind == "own":
        return next((_own(preset.slug) for preset in presets.all() if preset.slug == key), None)
    if value == KEEP and not may(user, Permission.USE_SHARED) and _set_by_others(gateway):
        return Choice(KEEP, smarthost=gateway.wanted)
    if kind == "shared" and may(user, Permission.USE_SHARED):
        try:
            row = Smarthost.objects.shared().filter(pk=uuid.UUID(key)).first()
        except ValueError:
            return None
        return Choice(value, smarthost=row) if row else None
    return None


def _set_by_others(gateway: Gateway) -> bool:
    return gateway.wanted is not None and gateway.wanted.server_id is None


def _own(slug: str) -> Choice:
    return Choice(f"own:{slug}", preset=presets.get(slug))
