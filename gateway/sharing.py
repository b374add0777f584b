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
    fast: int
    slow: int
    sentences: tuple[str, ...]

    @property
    def uneven(self) -> int:
        return self.fast + self.slow


def division(smarthost: Smarthost) -> Division:
    share = wanted.fair(smarthost)
    rows = uneven(smarthost, share.divisor).filter(server__archived_at__isnull=True)
    found = dict(rows.values_list("applied_share").annotate(Count("pk")).order_by("applied_share"))
    without = found.pop(0, 0)
    fast = {divisor: count for divisor, count in found.items() if divisor < share.divisor}
    slow = {divisor: count for divisor, count in found.items() if divisor > share.divisor}
    said = []
    if fast:
        said.append(f"{_kept(fast)}, but more servers use the account now. Together they may send more than it allows.")
    if without:
        said.append(f"{_keep(without)} no limits yet: they come with the next reinstallation.")
    if slow and share.divisor:
        said.append(f"{_kept(slow)}, but fewer use the account now. Mail waits longer than it must.")
    elif slow:
        said.append(f"{_kept(slow)}, and none are known any more. Mail waits longer than it must.")
    return Division(share, sum(fast.values()) + without, sum(slow.values()), tuple(said))


def uneven(smarthost: Smarthost, divisor: int) -> GatewayQuerySet:
    """Gateways that run on it, shall go on to, and keep another share of its limits than one of `divisor`."""
    return Gateway.objects.filter(applied=smarthost, wanted=smarthost).exclude(applied_share=divisor)


def _kept(rows: dict[int, int]) -> str:
    """rows: divisor -> servers. "1 server keeps the limits of the whole account and 3 servers keep limits for 2"."""
    return " and ".join(
        f"{_keep(count)} {'the limits of the whole account' if divisor == 1 else f'limits for {divisor} servers'}"
        for divisor, count in rows.items()
    )


def _keep(count: int) -> str:
    return "1 server keeps" if count == 1 else f"{count} servers keep"
