"""A shared provider's password, replaced once and brought to every server that uses it; and put back."""

import random
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from gateway import smarthosts
from gateway.models import Gateway, Smarthost
from servers.jobs.launch import Busy, launch
from servers.jobs.models import Batch, Job
from servers.jobs.rollout import PLAIN, Policy
from servers.models import Server, ServerQuerySet

KEPT = timedelta(days=7)
CANARIES = 50  # offered on the page, most trusted first


class NothingKept(Exception):
    """The panel keeps no earlier password of this SMTP provider."""

    hint = "Type the password on the provider's page."


class NothingBehind(Exception):
    """Every server that uses this SMTP provider runs on its present values, or cannot be changed now."""

    hint = "The provider's page says who uses it."


@dataclass(frozen=True)
class Use:
    """servers: in use and not archived, want it or run on it. installed: of these, in force through it. behind: of
    these, on other values than the row has now, or nobody knows. earlier: last proved on an earlier password.
    archived: out of use, and still on it."""

    servers: int
    installed: int
    behind: int
    earlier: int
    archived: int


def use(smarthost: Smarthost) -> Use:
    """In one query."""
    live, applied = Q(server__archived_at__isnull=True), Q(applied=smarthost)
    behind = Q(applied_revision__lt=smarthost.revision) | Q(in_doubt=True)
    earlier = ~Q(applied_password_revision=smarthost.password_revision)
    return Use(
        **Gateway.objects.using(smarthost).aggregate(
            servers=Count("pk", filter=live),
            installed=Count("pk", filter=live & applied),
            behind=Count("pk", filter=live & applied & behind),
            earlier=Count("pk", filter=live & applied & earlier),
            archived=Count("pk", filter=~live),
        )
    )


def targets(smarthost: Smarthost) -> ServerQuerySet:
    """Who is reached by a roll-out: servers that run on this provider, shall go on to, and are behind its values."""
    behind = Gateway.objects.behind().filter(applied=smarthost)
    return Server.objects.live().filter(pk__in=behind.values("server"))


def left_out(servers: ServerQuerySet) -> dict:
    """{server id: why nothing is asked of it now}, in two queries."""
    changed = dict.fromkeys(
        servers.filter(reach=Server.Reach.KEY_CHANGED).values_list("pk", flat=True),
        "Its host key changed and nobody has accepted the new one yet.",
    )
    busy = Job.objects.live().filter(mutating=True, server__in=servers).values_list("server", flat=True)
    return dict.fromkeys(busy, "Another job is changing it.") | changed


def remaining(smarthost: Smarthost) -> ServerQuerySet:
    """`targets` without those left out."""
    busy = Job.objects.live().filter(mutating=True, server=OuterRef("pk"))
    return targets(smarthost).exclude(reach=Server.Reach.KEY_CHANGED).exclude(Exists(busy))


def canaries(smarthost: Smarthost) -> QuerySet:
    """Whom to prove new values on, the most sensible first: reachable, working, not long ago verified."""
    trusted = Q(reach=Server.Reach.OK, gateway__state=Gateway.State.WORKING, gateway__in_doubt=False)
    return (
        remaining(smarthost)
        .annotate(trusted=Count("pk", filter=trusted))
        .order_by("-trusted", F("gateway__verified_at").desc(nulls_last=True), "name")
    )


def roll_out(
    smarthost: Smarthost, *, by: User | str | None, policy: Policy = PLAIN, first: Server | None = None
) -> Batch:
    """One batch that brings the present values to every server behind them. first: the server to begin with, which a
    canary of one is; else the most sensible ones. Raises NothingBehind, launch.Busy."""
    servers = list(canaries(smarthost))
    if not servers:
        raise NothingBehind
    servers.sort(key=lambda server: server != first)
    lead, rest = servers[: policy.canary], servers[policy.canary :]
    if policy.order == "random":
        random.shuffle(rest)
    else:
        rest.sort(key=lambda server: server.name)
    return launch("gateway.reinstall", lead + rest, by=by, policy=replace(policy, order="given"))


def taken(smarthost: Smarthost) -> ServerQuerySet:
    """Servers that run on the present password, or may: those a roll-back has to reach."""
    on_it = Q(applied_password_revision=smarthost.password_revision) | Q(in_doubt=True)
    return Server.objects.live().filter(
        pk__in=Gateway.objects.filter(on_it, applied=smarthost, wanted=smarthost).values("server")
    )


@transaction.atomic
def roll_back(smarthost: Smarthost, *, by: User | str | None, policy: Policy = PLAIN) -> Batch | None:
    """The earlier password is the present one again, and the present one is kept in its place. Servers that had taken
    it are reinstalled by the batch returned; None when there are none, or all of them are being changed right now.
    Servers that never left the earlier one are up to date again, unless other values changed meanwhile.
    Raises NothingKept, servers.fields.Unreadable."""
    row = Smarthost.objects.select_for_update().shared().get(pk=smarthost.pk)
    if not row.keeps_previous:
        raise NothingKept
    servers, untouched, number = list(taken(row)), row.previous_revision, row.previous_password_revision
    before = row.username
    row.password, row.previous_password = row.previous_password, row.password
    row.username, row.previous_username = row.previous_username, row.username
    row.password_revision, row.previous_password_revision = number, row.password_revision
    row.previous_revision, row.rotated_at = row.revision, timezone.now()
    row.revision += 1
    row.save()
    still = Gateway.objects.filter(applied=row, applied_revision=untouched, applied_password_revision=number)
    marked = still.filter(in_doubt=False).update(applied_revision=row.revision) if untouched else 0
    changed = {"username": [before, row.username]} if before != row.username else {}
    audit.record(by, "put back the password of", row, changed=changed, up_to_date=marked, to_reinstall=len(servers))
    try:
        return launch("gateway.reinstall", servers, by=by, policy=policy) if servers else None
    except Busy:
        return None


@transaction.atomic
def forget(smarthost: Smarthost, *, by: User | str | None) -> None:
    """Raises NothingKept."""
    row = Smarthost.objects.select_for_update().shared().get(pk=smarthost.pk)
    if not row.keeps_previous:
        raise NothingKept
    _forget(row, by)


@transaction.atomic
def forget_unused() -> int:
    """Forgets the earlier passwords nobody runs on and nobody asked back for a while; says how many."""
    on_it = Q(applied_password_revision=OuterRef("previous_password_revision")) | Q(in_doubt=True)
    used = Exists(Gateway.objects.filter(on_it, applied=OuterRef("pk")))
    kept = Smarthost.objects.shared().filter(previous_password__isnull=False, rotated_at__lte=timezone.now() - KEPT)
    rows = list(kept.filter(~used).select_for_update())
    for row in rows:
        _forget(row, None)
    return len(rows)


def _forget(row: Smarthost, by: User | str | None) -> None:
    smarthosts.forget(row)
    row.save()
    audit.record(by, "forgot the earlier password of", row)
