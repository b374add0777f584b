"""The provider select of a server's form: a shared account by name, what is there already, or own values."""

import uuid
from dataclasses import dataclass

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import overrides
from gateway.models import Gateway, Smarthost
from gateway.providers import presets
from gateway.providers.preset import Preset

KEEP = "keep"


def knows_details(smarthost: Smarthost, user: User) -> bool:
    """Own values belong to the server's form; those of a shared provider, or made from one, to administrators."""
    return may(user, Permission.SETTINGS) or (smarthost.server_id is not None and not smarthost.confidential)


def named(smarthost: Smarthost, user: User) -> str:
    """A provider as this person may know it."""
    if knows_details(smarthost, user) or (smarthost.server_id is None and may(user, Permission.USE_SHARED)):
        return smarthost.name
    return "the provider your administrator set up"


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
    if _hidden(gateway, user):
        groups.append(("Present", [(KEEP, "Set up by your administrator")]))
    groups.append(("Own values for this server", [(f"own:{slug}", label) for slug, label in overrides.labels()]))
    return [group for group in groups if group[1]]


def present(user: User, gateway: Gateway) -> Choice:
    """Where the select stands before anybody touched it."""
    wanted = gateway.wanted
    if wanted is not None:
        if _hidden(gateway, user):
            return Choice(KEEP, smarthost=wanted)
        return _own(wanted.preset) if wanted.server_id else Choice(f"shared:{wanted.pk}", smarthost=wanted)
    default = Smarthost.objects.default() if may(user, Permission.USE_SHARED) else None
    return Choice(f"shared:{default.pk}", smarthost=default) if default else _own("generic")


def parse(value: str, user: User, gateway: Gateway) -> Choice | None:
    """None for what was not offered to this person."""
    kind, _, key = value.partition(":")
    if kind == "own":
        return _own(key) if key in presets.slugs() else None
    if value == KEEP and _hidden(gateway, user):
        return Choice(KEEP, smarthost=gateway.wanted)
    if kind == "shared" and may(user, Permission.USE_SHARED):
        try:
            row = Smarthost.objects.shared().filter(pk=uuid.UUID(key)).first()
        except ValueError:
            return None
        return Choice(value, smarthost=row) if row else None
    return None


def _hidden(gateway: Gateway, user: User) -> bool:
    """What is wanted is neither this person's to read nor, by name, to choose."""
    wanted = gateway.wanted
    if wanted is None or knows_details(wanted, user):
        return False
    return wanted.server_id is not None or not may(user, Permission.USE_SHARED)


def _own(slug: str) -> Choice:
    return Choice(f"own:{slug}", preset=overrides.preset(slug))
