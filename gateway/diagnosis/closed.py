"""Why no connection opens on the chosen port: dropped, refused or turned away, and by whom where that can be told.
Pure."""

from gateway.diagnosis.scan import Seen
from gateway.diagnosis.values import Asked, Verdict, Way
from gateway.diagnosis.ways import best
from gateway.providers import clouds

_HOW = {"silent": "gets no answer", "refused": "is refused at once", "unreachable": "is turned away on the way"}


def judge(asked: Asked, seen: tuple[Seen, ...]) -> Verdict:
    """`seen` knows the chosen port, and nowhere as open."""
    seen = _within_reach(seen)
    chosen = [one for one in seen if one.port == asked.port]
    way, state = best(asked, seen), _state(chosen)
    policy = clouds.get(asked.cloud)
    if policy is not None and _fits(policy, asked, seen, state):
        return _by_cloud(policy, asked, way, state)
    if state == "silent":
        return _silent(asked, seen, way, policy)
    return _refused(asked, seen, way) if state == "refused" else _turned_away(asked, seen, chosen[0], way)


def _within_reach(seen: tuple[Seen, ...]) -> tuple[Seen, ...]:
    """Without the addresses to which no port has a way, as long as one is left: a server without IPv6 is told so at
    once, which says nothing about the port."""
    reached = {one.address for one in seen if one.state != "unreachable"}
    return tuple(one for one in seen if one.address in reached) or seen


def _state(chosen: list[Seen]) -> str:
    """Of all addresses together."""
    states = {one.state for one in chosen}
    return next(state for state in ("silent", "refused", "unreachable") if state in states)


def _fits(policy: clouds.Policy, asked: Asked, seen: tuple[Seen, ...], state: str) -> bool:
    """Whether what was seen is what this cloud's policy does, and nothing else is needed to explain it."""
    blocked = [one for one in seen if one.port in policy.blocked]
    if asked.port not in policy.blocked or any(one.state == "open" for one in blocked):
        return False
    if not _there(asked, seen, policy):
        return False
    alike = len({one.port for one in blocked}) > 1 and all(one.state == state for one in blocked)
    # Where nobody listens is refused as well: it takes a port the provider is known to have, or all of the policy's.
    return state == "silent" or asked.port in asked.ports or alike


def _there(asked: Asked, seen: tuple[Seen, ...], policy: clouds.Policy) -> bool:
    """Whether the host answered something, or could not have: all the ports it has are blocked."""
    answered = any(one.state in ("open", "refused") for one in seen if one.port != asked.port)
    return answered or bool(asked.ports) and set(asked.ports) <= set(policy.blocked)


def _by_cloud(policy: clouds.Policy, asked: Asked, way: Way | None, state: str) -> Verdict:
    other = f", and port {way.port} answers" if way else ""
    cause = f"Port {asked.port} of {asked.host} {_HOW[state]} from this server{other}: {policy.sentence}"
    if way is not None:
        fix = f"{way.label}: it needs nobody's permission. {policy.ask}"
    else:
        fix = (
            f"{policy.ask} Or send through a provider that answers on a port {policy.label} leaves open, such as 2525."
        )
    return Verdict("port-blocked-by-cloud", cause, fix, "port", way, policy.where)


def _silent(asked: Asked, seen: tuple[Seen, ...], way: Way | None, policy: clouds.Policy | None) -> Verdict:
    suspect, excuse = _suspect(asked, policy)
    if way is not None:
        cause = (
            f"Port {asked.port} is dropped without a word, most likely by {suspect}: "
            f"{asked.host} answers it on port {way.port} and not on {asked.port}.{excuse}"
        )
        fix = f"{way.label}, or ask whoever runs the network of this server to open outgoing port {asked.port}."
        return Verdict("port-blocked-other-open", cause, fix, "port", way)
    if all(one.state == "silent" for one in seen):
        return _nothing_answers(asked, seen, policy)
    cause = (
        f"No answer comes from port {asked.port} of {asked.host}, while other ports there answer or are refused at "
        f"once: most likely it is dropped by {suspect}.{excuse}"
    )
    fix = f"Check the port in the provider's manual, then have outgoing port {asked.port} opened for this server."
    slug = "port-25-timed-out" if asked.port == 25 else "connection-timed-out"
    return Verdict(slug, cause, fix, "port")


def _suspect(asked: Asked, policy: clouds.Policy | None) -> tuple[str, str]:
    """Who most likely drops the port, and why it is not the cloud where its policy is known and another."""
    if policy is None:
        return "the cloud or a firewall of this server", ""
    spared = asked.port not in policy.blocked
    excuse = f" {policy.label} {policy.policy}, but not {asked.port}." if spared else ""
    return "a firewall or security group of this server", excuse


def _nothing_answers(asked: Asked, seen: tuple[Seen, ...], policy: clouds.Policy | None) -> Verdict:
    count = len({one.port for one in seen})
    tried = f"None of the {count} ports" if count > 1 else "The port"
    cause = (
        f"{tried} tried at {asked.host} answers this server: either that host is down, or the network of this server "
        "lets no mail connection out."
    )
    fix = (
        "Diagnose the same provider from a server in another network. If it answers there, ask whoever runs this "
        "server's network to open outgoing port 587 or 2525; if not, check the name of the SMTP server."
    )
    if policy is not None and asked.port in policy.blocked:
        cause += f" {policy.sentence} The others are silent too, so that alone may not be the reason."
    return Verdict("all-ports-timed-out", cause, fix, "server")


def _refused(asked: Asked, seen: tuple[Seen, ...], way: Way | None) -> Verdict:
    if way is not None:
        why = f"nothing listens on {asked.port} there, or a firewall on the way rejects it"
        if asked.port in asked.ports:
            why = (
                f"the provider offers {asked.port}, so most likely a firewall of this server or its network rejects it"
            )
        cause = f"Port {asked.port} of {asked.host} is refused at once and port {way.port} answers: {why}."
        return Verdict("connection-refused", cause, f"{way.label}.", "port", way)
    if all(one.state == "refused" for one in seen):
        cause = (
            f"Every port tried at {asked.host} is refused at once: no mail server listens there, or a firewall on the "
            "way rejects all mail connections."
        )
    else:
        cause = f"Port {asked.port} of {asked.host} is refused at once, and no other port tried there can be used."
    fix = "Check the name and port of the SMTP server; if they are right, ask whoever runs this server's network."
    return Verdict("connection-refused", cause, fix, "port")


def _turned_away(asked: Asked, seen: tuple[Seen, ...], chosen: Seen, way: Way | None) -> Verdict:
    """The network says that it knows no way there: true when it says so of every port, a firewall's word otherwise."""
    if all(one.state == "unreachable" for one in seen):
        return _no_way_there(asked, seen, chosen)
    cause = (
        f"A firewall of this server or its network forbids port {asked.port} of {asked.host}: the answer is "
        f"“{chosen.words}” for this port, and other ports of the same address can be reached."
    )
    ask = f"ask whoever runs that firewall to allow outgoing port {asked.port}"
    fix = f"{way.label}, or {ask}." if way else f"A{ask[1:]}."
    return Verdict("port-forbidden", cause, fix, "port", way)


def _no_way_there(asked: Asked, seen: tuple[Seen, ...], chosen: Seen) -> Verdict:
    if all(":" in one.address for one in seen):
        cause = f"{asked.host} has only IPv6 addresses (the newer kind), and this server has no way to them."
        fix = (
            "Use a name of the provider that has an IPv4 address too, or ask whoever runs this server's network for "
            "IPv6."
        )
        return Verdict("ipv6-unreachable", cause, fix, "server")
    cause = (
        f"The network of this server has no way to {asked.host}: every port tried is turned away with “{chosen.words}”."
    )
    fix = "Ask whoever runs this server's network or firewall, and check the name of the SMTP server."
    return Verdict("network-unreachable", cause, fix, "server")
