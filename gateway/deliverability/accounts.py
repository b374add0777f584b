"""Which accounts of this panel send for a domain, and which servers hand them mail without a sign-in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db.models import Q

from gateway.deliverability.findings import Origin, Sender
from gateway.deliverability.models import in_use
from gateway.deliverability.origins import SHOWN
from gateway.models import Gateway, Smarthost
from gateway.providers.preset import Preset


@dataclass(frozen=True)
class Use:
    """One provider, as accounts of the panel use it for a domain. more: servers left out of `origins`."""

    preset: str
    region: str
    unsigned: bool
    origins: tuple[Origin, ...] = ()
    more: int = 0


def sender(preset: Preset, use: Use | None = None) -> Sender:
    """Pure. A provider that is signed in to hands mail on from its own address; so do relays, but not always."""
    region = (use.region if use else "") or preset.default_region
    found = Sender(preset.label, preset.dns, region, preset.slug)
    if preset.auth == "required" or (use and not use.unsigned) or (use is None and preset.auth != "none"):
        return found
    # Direct send goes to the organisation's own mail server; what stands behind an unknown one is not known.
    direct = preset.auth == "none" and preset.from_policy == "tenant_only"
    counts = {"unsigned": True, "delivers": direct or preset.dns is None, "needs_helo": preset.needs_helo}
    return replace(found, **counts, **({"origins": use.origins, "more": use.more} if use else {}))


def uses(domain: str) -> tuple[Use, ...]:
    rows = in_use().filter(sending_domain=domain).order_by("preset", "region").defer("password", "previous_password")
    groups: dict[tuple[str, str, bool], list[Smarthost]] = {}
    for row in rows:
        groups.setdefault((row.preset, row.region, not row.username), []).append(row)
    return tuple(_use(*key, accounts) for key, accounts in groups.items())


def _use(preset: str, region: str, unsigned: bool, accounts: Iterable[Smarthost]) -> Use:
    if not unsigned:
        return Use(preset, region, unsigned)
    helo = {account.pk: account.helo_name for account in accounts}
    through = Q(wanted__in=helo) | Q(applied__in=helo)
    rows = Gateway.objects.filter(through, server__archived_at__isnull=True).order_by("server__name")
    named = rows.values_list("server__name", "server__address", "wanted", "applied")
    origins = [
        Origin(name, address, helo[account])
        for name, address, *accounts in named[:SHOWN]
        for account in dict.fromkeys(accounts)
        if account in helo
    ]
    return Use(preset, region, unsigned, tuple(dict.fromkeys(origins)), max(0, rows.count() - SHOWN))
