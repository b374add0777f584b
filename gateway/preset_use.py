"""Who uses a preset: the accounts made with it, and how far their own values are from what it says now."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Lower

from gateway.models import Gateway, GatewayQuerySet, Smarthost
from gateway.providers import limits
from gateway.providers.preset import ENCRYPTION, Preset

SHOWN = 50


@dataclass(frozen=True)
class Account:
    """apart: how its saved values differ from the preset, in words; "" where they do not. installed: gateways that run
    on it; behind: those of them that were built from earlier values of it or of the preset."""

    row: Smarthost
    apart: str
    installed: int
    behind: int


@dataclass(frozen=True)
class Use:
    """accounts: shared ones, and values of single servers that are chosen or in force; those apart first, SHOWN at
    most. apart: how many differ. behind: gateways, over all accounts."""

    count: int
    apart: int
    behind: int
    accounts: tuple[Account, ...]


def use(preset: Preset) -> Use:
    """In three statements."""
    chosen = Gateway.objects.filter(Q(wanted=OuterRef("pk")) | Q(applied=OuterRef("pk")))
    rows = Smarthost.objects.filter(Q(server__isnull=True) | Exists(chosen), preset=preset.slug)
    running = Gateway.objects.filter(applied__preset=preset.slug, server__archived_at__isnull=True)
    installed = Counter(running.values_list("applied", flat=True))
    behind = Counter((running.behind() | _otherwise_limited(running, preset)).values_list("applied", flat=True))
    found = [
        Account(row, apart(preset, row), installed[row.pk], behind[row.pk])
        for row in rows.select_related("server").order_by("server__name", Lower("name"))
    ]
    found.sort(key=lambda account: (not account.apart, account.row.server_id is not None))
    differing = sum(bool(account.apart) for account in found)
    return Use(len(found), differing, behind.total(), tuple(found[:SHOWN]))


def _otherwise_limited(running: GatewayQuerySet, preset: Preset) -> GatewayQuerySet:
    """Those whose Postfix was told no limits although there are some, or some although there are none."""
    told = running.filter(applied=F("wanted")).exclude(applied_share=0)
    return running.filter(applied=F("wanted"), applied_share=0) if limits.share(preset, 1).divisor else told


def apart(preset: Preset, row: Smarthost) -> str:
    """How an account's saved endpoint differs from what the preset would fill in, "" if it does not."""
    said = []
    if preset.host and row.host not in preset.hosts():
        said.append(f"It still uses {row.host}.")
    if not preset.any_port and (row.port, row.tls) not in preset.ports:
        said.append(f"Port {row.port} with {ENCRYPTION[row.tls]} is not among its ports.")
    return " ".join(said)
