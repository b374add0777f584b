"""Which port to use instead. Pure."""

from gateway.diagnosis.scan import Seen
from gateway.diagnosis.values import Asked, Way

_PREFERRED = (587, 2525, 2587, 465, 2465)


def best(asked: Asked, seen: tuple[Seen, ...]) -> Way | None:
    """One that greets and offers STARTTLS, or answers TLS; the provider's own order first."""
    order = [*asked.ports, *_PREFERRED]
    ways = {one.port: way for one in seen if one.port != asked.port and (way := _way(asked, one))}
    rank = {port: order.index(port) if port in order else len(order) for port in ways}
    # Port 25 is for mail between providers: it is blocked sooner or later.
    ranked = sorted(ways, key=lambda port: (port == 25, rank[port], port))
    return ways[ranked[0]] if ranked else None


def answers_for_another(asked: Asked, one: Seen) -> bool:
    """This server's own mail program answers, or a firewall rewrites the conversation."""
    own, host = asked.own_name.lower(), asked.host.rstrip(".").lower()
    masked = "****" in one.greeting or any("XXXX" in word for word in one.offers)
    return masked or bool(own and one.name == own and own != host)


def _way(asked: Asked, one: Seen) -> Way | None:
    if one.state != "open" or answers_for_another(asked, one):
        return None
    if one.tls:
        return Way(one.port, "implicit")
    if one.smtp and one.starttls:
        return Way(one.port, "starttls")
    return Way(one.port, "none") if one.smtp and asked.tls == "none" else None
