"""A shared provider's password, replaced once and brought to every server that uses it; and put back."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, When
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from gateway import sharing, smarthosts, wanted
from gateway.bulk import ReinstallForm
from gateway.models import Gateway, GatewayQuerySet, Smarthost
from servers.bulk import Sorted, sort_out
from servers.jobs.launch import Busy, launch
from servers.jobs.models import Batch, Job
from servers.jobs.rollout import PLAIN, Policy
from servers.models import Server, ServerQuerySet

KEPT = timedelta(days=7)
PROVED_FIRST = Policy(canary=1)


class NothingKept(Exception):
    """The panel keeps no earlier password of this SMTP provider."""

    hint = "Type the password on the provider's page."


class NothingBehind(Exception):
    """Every server that uses this SMTP provider runs on its present values, or cannot be changed now."""

    hint = "The provider's page says who uses it."


@dataclass(frozen=True)
class Use:
    """Servers that are not archived. installed: it is in force there. waiting: it is chosen, and not in force yet.
    behind: of the installed, those a roll-out has to reach. earlier: of the installed, those last proved on an earlier
    password. archived: servers out of use on which it is chosen or in force."""

    installed: int
    waiting: int
    behind: int
    earlier: int
    archived: int


def use(smarthost: Smarthost) -> Use:
    """In one query."""
    live, applied = Q(server__archived_at__isnull=True), Q(applied=smarthost)
    behind = Q(applied_revision__lt=smarthost.revision) | Q(in_doubt=True)
    earlier = ~Q(applied_password_revision=smarthost.password_revision)
    return Use(
        **Gateway.objects.through(smarthost).aggregate(
            installed=Count("pk", filter=live & applied),
            waiting=Count("pk", filter=live & (~applied | Q(applied__isnull=True))),
            behind=Count("pk", filter=live & applied & Q(wanted=smarthost) & behind),
            earlier=Count("pk", filter=live & applied & earlier),
            archived=Count("pk", filter=~live),
        )
    )


def under_way(smarthost: Smarthost) -> Batch | None:
    """The newest batch that is changing gateways of this provider right now."""
    jobs = Job.objects.live().filter(mutating=True, action__startswith="gateway.", server__gateway__wanted=smarthost)
    return Batch.objects.filter(pk__in=jobs.order_by().values("batch")).first()


def targets(smarthost: Smarthost) -> ServerQuerySet:
    """Who is reached by a roll-out: servers that run on this provider, shall go on to, and are behind its values or
    keep another share of its limits than they would be given now."""
    behind = Gateway.objects.behind().filter(applied=smarthost)
    uneven = sharing.uneven(smarthost, wanted.share(smarthost))
    return Server.objects.live().filter(pk__in=(behind | uneven).values("server"))


def sorted_out(smarthost: Smarthost, *, try_all: bool = False) -> Sorted:
    """Who of the targets goes, and who stays out and why. try_all: also those the last check could not reach."""
    return sort_out(targets(smarthost), ReinstallForm(viewer=None), try_all=try_all)


def canaries(servers: Iterable) -> ServerQuerySet:
    """These servers (ids), the most sensible to prove new values on first: reachable, working, lately verified."""
    trusted = Q(reach=Server.Reach.OK, gateway__state=Gateway.State.WORKING, gateway__in_doubt=False)
    ranked = Server.objects.filter(pk__in=list(servers)).annotate(
        doubtful=Case(When(trusted, then=0), default=1, output_field=IntegerField())
    )
    return ranked.order_by("doubtful", F("gateway__verified_at").desc(nulls_last=True), "name")


def roll_out(
    smarthost: Smarthost,
    *,
    by: User | str | None,
    policy: Policy = PROVED_FIRST,
    first: UUID | None = None,
    try_all: bool = False,
) -> Batch:
    """One batch that brings the present values to every server behind them. first: the server to begin with, which a
    canary of one is; else the most sensible ones. Raises NothingBehind, launch.Busy."""
    servers = list(canaries(sorted_out(smarthost, try_all=try_all).going))
    if not servers:
        raise NothingBehind
    servers.sort(key=lambda server: server.pk != first)
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


def untouched(smarthost: Smarthost) -> int:
    """How many servers never left the previous password, with every other value as it is now."""
    return _still(smarthost).filter(server__archived_at__isnull=True).count()


def _still(smarthost: Smarthost) -> GatewayQuerySet:
    if smarthost.previous_revision is None:
        return Gateway.objects.none()
    return Gateway.objects.filter(
        applied=smarthost,
        applied_revision=smarthost.previous_revision,
        applied_password_revision=smarthost.previous_password_revision,
        in_doubt=False,
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
    servers, still, before = list(taken(row)), list(_still(row).values_list("pk", flat=True)), row.username
    row.password, row.previous_password = row.previous_password, row.password
    row.username, row.previous_username = row.previous_username, row.username
    row.password_revision, row.previous_password_revision = row.previous_password_revision, row.password_revision
    row.previous_revision, row.rotated_at = row.revision, timezone.now()
    row.revision += 1
    row.save()
    marked = Gateway.objects.filter(pk__in=still, in_doubt=False).update(applied_revision=row.revision)
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
