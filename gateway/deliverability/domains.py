"""Sending domains: which there are, asking for a check, checking under a lease, keeping what changed."""

import logging
import random
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache, partial

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, When
from django.utils import timezone
from publicsuffixlist import PublicSuffixList

from controlpanel.access import audit
from controlpanel.access.models import User
from gateway import overrides
from gateway.deliverability import accounts, blocklists, findings, history, policyfetch
from gateway.deliverability import selectors as knowledge
from gateway.deliverability.check import Scope, check, names
from gateway.deliverability.findings import Finding, Report, Sender
from gateway.deliverability.models import DnsCheck, Domain, in_use
from gateway.deliverability.resolver import Asking

LEASE = timedelta(seconds=90)
EVERY = timedelta(hours=6)
KEPT = 100  # changes of one domain
AT_ONCE = 16  # checks on the timetable or of many domains; one that a person asks for does not wait for them
BROKEN = Finding(
    "mx",
    findings.UNKNOWN,
    "unknown",
    "This domain could not be checked: a fault of the panel.",
    hint="The log of the worker says what happened. It is checked again in six hours.",
)
_ASKED = Q(asked_at__isnull=False) & (Q(checked_at__isnull=True) | Q(checked_at__lt=F("asked_at")))
_log = logging.getLogger(__name__)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organisation(name: str) -> str:
    """The organisational domain by the public suffix list; "" for a suffix itself."""
    return _suffixes().privatesuffix(name) or ""


def senders(domain: str) -> tuple[Sender, ...]:
    """The providers that accounts of this panel send through for the domain, each once."""
    uses = accounts.uses(domain)
    return tuple(dict.fromkeys(accounts.sender(overrides.preset(use.preset), use) for use in uses))


def sender(slug: str) -> Sender:
    """A provider as such, whatever accounts of it there are. Raises KeyError."""
    return accounts.sender(overrides.preset(slug))


def own_selectors(asked_of: Iterable[Sender]) -> list[tuple[str, knowledge.Own]]:
    """(label, where to read them) of those providers whose accounts have selectors of their own."""
    found = ((sender.label, knowledge.of(sender.slug)) for sender in asked_of)
    return [(label, own) for label, own in found if own and own.signs]


def look(
    domain: str,
    asked_of: tuple[Sender, ...],
    selectors: tuple[str, ...] = (),
    asking: Asking | None = None,
    policy: dict | None = None,
) -> Report:
    """One check, over the network. policy: `Report.policy` of the check before."""
    asking = asking or Asking(domain)
    lists = blocklists.known() if settings.BLOCKLISTS else ()
    scope = Scope(selectors, lists, policyfetch.fetch, policy or {})
    asking.prefetch(names(domain, asked_of, organisation, scope))
    report = check(domain, asking, asked_of, organisation, scope)
    zone = asking.zone if organisation(asking.zone) else organisation(domain)
    return findings.spreading(findings.within(report, zone or domain), asking.spreads())


def collect() -> None:
    """A row for every domain an account sends for: the safety net under `saved`."""
    known = Domain.objects.order_by().values("name")
    new = in_use().exclude(sending_domain__in=known).order_by().values_list("sending_domain", flat=True).distinct()
    Domain.objects.bulk_create([Domain(name=name) for name in new], ignore_conflicts=True)


def saved(names: set[str], ring: Callable[[int], object]) -> None:
    """An account was saved that sends for these domains, or sent: each has a row, and what its providers need is looked
    at anew. A report must not go on naming servers of an account that left the domain to others."""
    Domain.objects.bulk_create([Domain(name=name) for name in sorted(names)], ignore_conflicts=True)
    ask(list(Domain.objects.listed().filter(name__in=names)), ring)


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
    """Whole names, as providers show them, will do. Raises ValidationError."""
    labels = [re.sub(r"\._domainkey(\..*)?$", "", label) for label in re.split(r"[\s,]+", text.lower()) if label]
    if len(labels) > 8 or not all(re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?", one) for one in labels):
        raise ValidationError("Type up to eight selectors: the part of a DKIM record's name before ._domainkey.")
    return " ".join(dict.fromkeys(labels))


def set_selectors(domain: Domain, text: str, *, by: User | str) -> None:
    selectors = read_selectors(text)
    with transaction.atomic():
        Domain.objects.filter(pk=domain.pk).update(selectors=selectors)
        audit.record(by, "domain.selectors", domain, selectors=selectors)


def ask(rows: list[Domain], ring: Callable[[int], object]) -> None:
    """Asks for a check of each; one that is under way is not asked for again."""
    for pk in _mark(rows):
        transaction.on_commit(partial(ring, pk))


def ask_many(rows: list[Domain], ring: Callable[[], object]) -> None:
    """As `ask`, and wakes no more workers than may check at once: each goes on until nothing is left."""
    for _ in range(min(AT_ONCE, len(_mark(rows)))):
        transaction.on_commit(ring)


def _mark(rows: list[Domain]) -> list[int]:
    waiting = set(Domain.objects.waiting().filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    fresh = [row.pk for row in rows if row.pk not in waiting]
    Domain.objects.filter(pk__in=fresh).update(asked_at=timezone.now())
    return fresh


def due(now: datetime, most: int | None = None) -> list[int]:
    """Domains whose turn it is, and those somebody asked for that nobody looks at; these first."""
    rows = _due(now).annotate(asked=Case(When(_ASKED, then=0), default=1))
    return list(rows.order_by("asked", F("checked_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)[:most])


def _due(now: datetime) -> QuerySet:
    old = Q(checked_at__isnull=True) | Q(checked_at__lt=now - EVERY)
    return Domain.objects.listed().filter(old | _ASKED, _free(now))


def _free(now: datetime) -> Q:
    return Q(leased_until__isnull=True) | Q(leased_until__lt=now)


def work(looked: Callable[..., Report] = look) -> int:
    """Checks what is due, one after another, while fewer than AT_ONCE others do the same. Gives how many it checked."""
    count = 0
    while Domain.objects.filter(leased_until__gt=timezone.now()).count() < AT_ONCE:
        # Any of the first: workers that all took the first one would lose it to each other.
        first = due(timezone.now(), AT_ONCE)
        if not first:
            break
        pk = random.choice(first)  # noqa: S311 - no secret
        count += _check(pk, _due(timezone.now()), looked)
    return count


def check_one(pk: int, looked: Callable[..., Report] = look) -> bool:
    """Checks one domain, due or not, and keeps the result; False when another worker does, or it is gone."""
    return _check(pk, Domain.objects.filter(_free(timezone.now())), looked)


def _check(pk: int, among: QuerySet, looked: Callable[..., Report]) -> bool:
    now = timezone.now()
    if not among.filter(pk=pk).update(leased_until=now + LEASE, asked_at=now):
        return False
    domain = Domain.objects.get(pk=pk)
    try:
        report = looked(
            domain.name, senders(domain.name), tuple(domain.selectors.split()), policy=domain.report.get("policy")
        )
    except Exception:
        # Whatever made it fail is still there: asked again at once it would fail for ever, and hold up the others.
        _log.exception("The check of %s failed", domain.name)
        report = Report(domain.name, (BROKEN,), policy=domain.report.get("policy", {}))
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
        changes = history.changed(domain.report, document)
        Domain.objects.filter(pk=pk).update(state=document["state"], report=document, checked_at=now, leased_until=None)
        if changes:
            DnsCheck.objects.create(domain=domain, at=now, state=document["state"], changes=changes, report=document)
            old = domain.checks.values_list("pk", flat=True)[KEPT:]
            DnsCheck.objects.filter(pk__in=list(old)).delete()
