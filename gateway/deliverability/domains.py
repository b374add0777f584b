"""Sending domains: which there are, asking for a check, checking under a lease, keeping what changed."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, partial

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from publicsuffixlist import PublicSuffixList

from controlpanel.access import audit
from controlpanel.access.models import User
from gateway.deliverability import findings
from gateway.deliverability.check import check, names
from gateway.deliverability.findings import Report, Sender
from gateway.deliverability.models import DnsCheck, Domain, in_use
from gateway.deliverability.resolver import Asking
from gateway.providers import presets

LEASE = timedelta(seconds=90)
EVERY = timedelta(hours=6)
KEPT = 100  # changes of one domain


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organisation(name: str) -> str:
    """The organisational domain by the public suffix list; "" for a suffix itself."""
    return _suffixes().privatesuffix(name) or ""


def senders(domain: str) -> tuple[Sender, ...]:
    """The providers that accounts of this panel send through for the domain, each once."""
    rows = in_use().filter(sending_domain=domain).order_by("preset", "region").values_list("preset", "region")
    return tuple(sender(slug, region) for slug, region in dict.fromkeys(rows))


def sender(slug: str, region: str = "") -> Sender:
    preset = presets.get(slug)
    return Sender(preset.label, preset.dns, region or preset.default_region)


def look(domain: str, asked_of: tuple[Sender, ...], selectors: tuple[str, ...] = (), asking=None) -> Report:
    """One check, over the network."""
    asking = asking or Asking(domain)
    asking.prefetch(names(domain, asked_of, selectors))
    report = check(domain, asking, asked_of, organisation, selectors)
    return findings.spreading(report, asking.spreads())


def collect() -> None:
    """A row for every domain an account sends for."""
    known = Domain.objects.order_by().values("name")
    new = in_use().exclude(sending_domain__in=known).order_by().values_list("sending_domain", flat=True).distinct()
    Domain.objects.bulk_create([Domain(name=name) for name in new], ignore_conflicts=True)


def add(name: str, *, by: User) -> Domain:
    """Raises ValidationError."""
    domain = Domain(name=name.strip().lower().rstrip("."), added=True)
    domain.clean_fields()
    with transaction.atomic():
        domain, made = Domain.objects.get_or_create(name=domain.name, defaults={"added": True})
        if not made:
            Domain.objects.filter(pk=domain.pk).update(added=True)
        audit.record(by, "domain.add", domain)
    return domain


def remove(domain: Domain, *, by: User) -> None:
    """Stops checking a domain that a person added; one that an account sends for stays."""
    with transaction.atomic():
        audit.record(by, "domain.remove", domain)
        if in_use().filter(sending_domain=domain.name).exists():
            Domain.objects.filter(pk=domain.pk).update(added=False)
        else:
            domain.delete()


def read_selectors(text: str) -> str:
    """Raises ValidationError."""
    labels = [label.removesuffix("._domainkey") for label in re.split(r"[\s,]+", text.strip().lower()) if label]
    if len(labels) > 8 or not all(re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?", one) for one in labels):
        raise ValidationError("Type up to eight selectors: the part of a DKIM record's name before ._domainkey.")
    return " ".join(dict.fromkeys(labels))


def set_selectors(domain: Domain, text: str, *, by: User) -> None:
    selectors = read_selectors(text)
    with transaction.atomic():
        Domain.objects.filter(pk=domain.pk).update(selectors=selectors)
        audit.record(by, "domain.selectors", domain, selectors=selectors)


def ask(rows: list[Domain], ring: Callable[[int], object]) -> None:
    """Asks for a check of each; one that is under way is not asked for again."""
    waiting = set(Domain.objects.waiting().filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    fresh = [row.pk for row in rows if row.pk not in waiting]
    with transaction.atomic():
        Domain.objects.filter(pk__in=fresh).update(asked_at=timezone.now())
        for pk in fresh:
            transaction.on_commit(partial(ring, pk))


def due(now: datetime) -> list[int]:
    """Domains whose turn it is, and those whose ring was lost."""
    old = Q(checked_at__isnull=True) | Q(checked_at__lt=now - EVERY)
    lost = Q(asked_at__lt=now - timedelta(seconds=30)) & (Q(checked_at__isnull=True) | Q(checked_at__lt=F("asked_at")))
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    return list(Domain.objects.listed().filter(old | lost, free).values_list("pk", flat=True))


def check_one(pk: int, looked: Callable[..., Report] = look) -> bool:
    """Checks one domain and keeps the result; False when another worker does, or it is gone."""
    now = timezone.now()
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    if not Domain.objects.filter(free, pk=pk).update(leased_until=now + LEASE, asked_at=now):
        return False
    domain = Domain.objects.get(pk=pk)
    try:
        report = looked(domain.name, senders(domain.name), tuple(domain.selectors.split()))
    except BaseException:
        Domain.objects.filter(pk=pk).update(leased_until=None)
        raise
    keep(pk, report)
    return True


def keep(pk: int, report: Report) -> None:
    now, document = timezone.now(), report.document()
    with transaction.atomic():
        domain = Domain.objects.select_for_update().filter(pk=pk).first()
        if domain is None:
            return
        changes = changed(domain.report, document)
        Domain.objects.filter(pk=pk).update(state=document["state"], report=document, checked_at=now, leased_until=None)
        if changes:
            DnsCheck.objects.create(domain=domain, at=now, state=document["state"], changes=changes, report=document)
            old = domain.checks.values_list("pk", flat=True)[KEPT:]
            DnsCheck.objects.filter(pk__in=list(old)).delete()


def changed(before: dict, after: dict) -> list[str]:
    """What is said now and was not, and what is no longer said; an answer that did not come is no change."""
    if not before:
        return ["First check."]
    was, now = (
        {f["what"]: f["evidence"] for f in document.get("findings", ()) if f["state"] != "unknown"}
        for document in (before, after)
    )
    unknown = {
        f["area"] for document in (before, after) for f in document.get("findings", ()) if f["word"] == "unknown"
    }
    areas = {f["what"]: f["area"] for document in (before, after) for f in document.get("findings", ())}
    new = [f"Now: {what}" for what, evidence in now.items() if was.get(what) != evidence]
    gone = [f"No longer: {what}" for what in was if what not in now]
    return [line for line in new + gone if areas.get(line.partition(": ")[2]) not in unknown]
