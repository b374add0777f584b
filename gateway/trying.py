"""The gentle try of an account by the regular look: encryption and sign-in, over the connection that is open anyway.

At most one sign-in a minute and account, whatever the number of workers and servers; an account that is refused is
tried from one server alone.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from gateway import acceptance, proving, rules, wanted
from gateway.models import Gateway, Smarthost
from gateway.postfix.spec import Relay
from gateway.proof import prove
from servers.remote.host import Host, RemoteError

log = logging.getLogger(__name__)
APART = timedelta(minutes=1)  # between two sign-ins to one account
GRACE = timedelta(hours=2)  # that the server which was refused has to itself, before others may try
PATIENCE = 8  # seconds of silence


@dataclass(frozen=True)
class Tried:
    """findings: those of gateway.acceptance that stand from now on. until: the certificate's end, None when unread."""

    findings: list[dict]
    until: datetime | None = None


def interval() -> timedelta | None:
    """Between two tries from the same server; None: none."""
    return timedelta(hours=settings.SIGN_IN_HOURS) if settings.SIGN_IN_HOURS > 0 else None


def attempt(gateway: Gateway, relay: Relay, host: Host) -> Tried | None:
    """Tries the account the server is known to run on, if it is this server's turn; None when it was not.
    `gateway`: with server and applied. Never raises for what server or provider do."""
    now, every, before = timezone.now(), interval(), acceptance.lasting(gateway.problems)
    refused = acceptance.refused(before)
    tries = int(refused["tries"]) if refused else 0
    last = gateway.signed_in_at or gateway.installed_at
    # A certificate that ended since may have been renewed: what its date says is to be seen at once.
    ended = last is not None and gateway.certificate_until is not None and last < gateway.certificate_until <= now
    if every is None or not (ended or acceptance.due(now, last, gateway.server_id.int, every, tries)):
        return None
    turn = _take(gateway, now, own=tries)
    if turn == "elsewhere":
        return Tried(acceptance.elsewhere(before), gateway.certificate_until)
    if turn == "later":
        return None
    try:
        proof = prove(
            host,
            relay,
            sender="",
            preset=gateway.applied.preset,
            patience=PATIENCE,
            refuse=None if proving.trusted(gateway.applied, gateway.server) else proving.private,
        )
    except RemoteError as error:
        log.info("The account could not be tried from %s: %s", gateway.server, error)
        return None
    return Tried(acceptance.weigh(before, proof), proof.certificate_until or gateway.certificate_until)


@transaction.atomic
def _take(gateway: Gateway, now: datetime, own: int) -> str:
    """ "mine" when the minute was this server's and is taken, "later", or "elsewhere" while another server's refusal
    keeps this one from trying. own: how often this one was refused."""
    account = wanted.account(gateway.applied, rules.preset_of(gateway.applied.preset))
    # Whoever tries this account waits here for whoever else does, so that both see the other's minute.
    held = Smarthost.objects.select_for_update(no_key=True).filter(pk__in=account).order_by("pk")
    holders = list(held.values_list("pk", flat=True))
    others = Gateway.objects.filter(applied__in=holders).exclude(pk=gateway.pk)
    if others.filter(signed_in_at__gt=now - APART).exists():
        return "later"
    lately = others.filter(signed_in_at__gt=now - acceptance.LONGEST - GRACE)
    rows = lately.values_list("pk", "signed_in_at", "problems")
    refusals = [(int(one["tries"]), pk, at) for pk, at, problems in rows if (one := acceptance.refused(problems))]
    if own and any((tries, pk) > (own, gateway.pk) for tries, pk, _ in refusals):
        return "later"  # of several that were refused, one speaks for the account
    if refusals and not own:
        pause = acceptance.pause(sum(tries for tries, _, _ in refusals))
        if now - max(at for _, _, at in refusals) < pause + GRACE:
            return "elsewhere"
    mine = Gateway.objects.filter(pk=gateway.pk, signed_in_at=gateway.signed_in_at)
    return "mine" if mine.update(signed_in_at=now) else "later"
