"""How an account's limits are divided among the servers that run on it, and who keeps another share than is right."""

from dataclasses import dataclass

from django.db.models import Count

from gateway import wanted
from gateway.models import Gateway, GatewayQuerySet, Smarthost
from gateway.providers.limits import Share


@dataclass(frozen=True)
class Division:
    """share: what each server would be given now. fast: servers that keep a larger share, or no limits yet; slow: those
    that keep a smaller one. sentences: both in words, the ones that may break a limit first."""

    share: Share
    fast: int = 0
    slow: int = 0
    sentences: tuple[str, ...] = ()

    @property
    def uneven(self) -> int:
        return self.fast + self.slow


def division(smarthost: Smarthost) -> Division:
    share = wanted.fair(smarthost)
    rows = uneven(smarthost, share.divisor).filter(server__archived_at__isnull=True)
    found = list(rows.values_list("applied_share").annotate(Count("pk")).order_by("applied_share"))
    if not share.divisor:
        return Division(share, slow=sum(count for _, count in found), sentences=_lifted(found))
    fast = [(divisor, count) for divisor, count in found if divisor < share.divisor]
    slow = [(divisor, count) for divisor, count in found if divisor > share.divisor]
    said, now = [], f"the account is divided among {share.divisor} now."
    if fast:
        said.append(f"{_kept(fast)}; {now} Together they may send more than it allows.")
    if slow:
        said.append(f"{_kept(slow)}; {now} Mail waits longer than it must.")
    return Division(share, *(sum(count for _, count in rows) for rows in (fast, slow)), tuple(said))


def uneven(smarthost: Smarthost, divisor: int) -> GatewayQuerySet:
    """Gateways that run on it, shall go on to, and keep another share of its limits than one of `divisor`."""
    return Gateway.objects.filter(applied=smarthost, wanted=smarthost).exclude(applied_share=divisor)


def _kept(rows: list[tuple[int, int]]) -> str:
    """ "1 server keeps no limits yet and 3 servers keep limits for 2 servers"."""
    told = []
    for divisor, count in rows:
        what = {0: "no limits yet", 1: "the limits of the whole account"}.get(divisor, f"limits for {divisor} servers")
        told.append(f"{_servers(count)} keep{'s' * (count == 1)} {what}")
    return " and ".join(told)


def _lifted(rows: list[tuple[int, int]]) -> tuple[str, ...]:
    return (f"{_kept(rows)}, although none are known any more.",) if rows else ()


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"
