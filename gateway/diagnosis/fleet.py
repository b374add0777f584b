"""What the diagnoses of many servers say together: server by port, grouped by the cloud the servers stand in. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.diagnosis.values import Way
from gateway.providers import causes, clouds
from servers.remote import cloud

UNKNOWN = "Unknown network"
BY_CLOUD, INTERCEPTED = "port-blocked-by-cloud", "smtp-intercepted"
_DID = {
    "silent": "silent",
    "refused": "refused",
    "unreachable": "forbidden",
    "intercepted": "answered by somebody else",
}


@dataclass(frozen=True)
class Look:
    """One diagnosis. server: id. cause: slug, "" when nothing stood in the way. states: port -> open | refused | silent
    | unreachable, of the ports tried. way: what would work instead."""

    server: str
    name: str
    cloud: str
    cause: str
    port: int
    states: dict[int, str] = field(default_factory=dict)
    way: Way | None = None

    @property
    def trouble(self) -> str:
        """What the chosen port did, a key of _DID; "" when it is open and what fails is said later."""
        if self.cause == INTERCEPTED:
            return "intercepted"
        state = self.states.get(self.port, "open")
        return "" if state == "open" else state


@dataclass(frozen=True)
class Row:
    """Servers on which every port did the same. states: as `Look.states`, "intercepted" for a port with a stranger."""

    names: tuple[str, ...]
    port: int
    cause: str
    states: dict[int, str]


@dataclass(frozen=True)
class Offer:
    """A way that works on these servers (ids), on which the chosen one does not."""

    way: Way
    servers: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The servers of one cloud. ports: those tried on any of them. rows: the commonest first. where: a page of the
    cloud about what it blocks, where that is the reason, else ""."""

    cloud: str
    label: str
    count: int
    sentence: str
    ports: tuple[int, ...]
    rows: tuple[Row, ...]
    offers: tuple[Offer, ...]
    where: str


def groups(looks: Iterable[Look]) -> tuple[Group, ...]:
    """One for each cloud by name, then the unknown network."""
    by_cloud: dict[str, list[Look]] = {}
    for look in sorted(looks, key=lambda look: look.name):
        by_cloud.setdefault(look.cloud if cloud.label(look.cloud) else "", []).append(look)
    named = sorted((slug for slug in by_cloud if slug), key=cloud.label)
    return tuple(_group(slug, by_cloud[slug]) for slug in (*named, "") if slug in by_cloud)


def _group(slug: str, looks: list[Look]) -> Group:
    policy = clouds.get(slug) if any(look.cause == BY_CLOUD for look in looks) else None
    return Group(
        cloud=slug,
        label=cloud.label(slug) or UNKNOWN,
        count=len(looks),
        sentence=_sentence(slug, looks),
        ports=tuple(sorted({port for look in looks for port in look.states})),
        rows=_rows(looks),
        offers=_offers(looks),
        where=policy.where if policy else "",
    )


def _rows(looks: list[Look]) -> tuple[Row, ...]:
    alike: dict[tuple, list[Look]] = {}
    for look in looks:
        alike.setdefault((look.port, look.cause, tuple(sorted(look.states.items()))), []).append(look)
    rows = [
        Row(tuple(look.name for look in same), port, cause, dict(states) | _strangers(same[0]))
        for (port, cause, states), same in alike.items()
    ]
    return tuple(sorted(rows, key=lambda row: (not row.cause, -len(row.names))))


def _strangers(look: Look) -> dict[int, str]:
    return {look.port: "intercepted"} if look.trouble == "intercepted" else {}


def _offers(looks: list[Look]) -> tuple[Offer, ...]:
    found: dict[Way, list[str]] = {}
    for look in looks:
        if look.cause and look.way is not None and look.way.tls != "none":
            found.setdefault(look.way, []).append(look.server)
    ranked = sorted(found.items(), key=lambda pair: -len(pair[1]))
    return tuple(Offer(way, tuple(servers)) for way, servers in ranked)


def _sentence(slug: str, looks: list[Look]) -> str:
    where = f"On {cloud.label(slug)}" if slug else "Where the network is unknown,"
    failing = [look for look in looks if look.cause]
    at_port = [look for look in failing if look.trouble]
    later = [look for look in failing if not look.trouble]
    if not failing:
        return f"{where} nothing stands in the way on {_of(len(looks), len(looks))}."
    if not at_port:
        return f"{where} {_of(len(later), len(looks))} {_fail(later)}, and no closed port is the reason.{_why(later)}"
    told = f"{where} {_ports(at_port, len(looks))}{_instead(at_port)}"
    policy = clouds.get(slug)
    if policy is not None and all(look.cause == BY_CLOUD for look in at_port):
        told += f": {policy.sentence[:-1]}"
    return f"{told}. {len(later)} more {_fail(later)} for another reason.{_why(later)}" if later else f"{told}."


def _why(looks: list[Look]) -> str:
    """In one sentence, where it is the same everywhere."""
    slugs = {look.cause for look in looks}
    meaning = causes.get(slugs.pop()) if len(slugs) == 1 else None
    return f" {meaning.cause}" if meaning else ""


def _ports(failing: list[Look], total: int) -> str:
    """ "587 is silent on 3 of 9 servers and refused on 2; 25 is silent on 1" """
    ports = Counter(look.port for look in failing)
    told, first = [], True
    for port, _ in ports.most_common():
        did = Counter(look.trouble for look in failing if look.port == port)
        parts = []
        for trouble, count in did.most_common():
            parts.append(f"{_DID[trouble]} on {_of(count, total) if first else count}")
            first = False
        told.append(f"{port} is {_and(parts)}")
    return "; ".join(told)


def _instead(failing: list[Look]) -> str:
    """The one way that works for all of them."""
    ways = {look.way for look in failing}
    way = ways.pop() if len(ways) == 1 else None
    if way is None:
        return ""
    return f"{',' if len({look.trouble for look in failing}) > 1 else ''} and {way.port} is open"


def _of(count: int, total: int) -> str:
    return f"{count} of {total} server{'' if total == 1 else 's'}"


def _fail(looks: list[Look]) -> str:
    return "fails" if len(looks) == 1 else "fail"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
