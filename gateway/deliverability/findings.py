"""What a check says: findings, and the records to publish. Pure; kept as JSON by `document`."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from gateway.providers.preset import Dns
from servers.remote import clean

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "fail", "unknown"
_RANK = (FAIL, WARN, UNKNOWN, OK)
ASIDE = ("blocklist", "server")
TTL = 3600  # seconds: a mistake is over within the hour


@dataclass(frozen=True)
class Origin:
    """A server that hands mail on without a sign-in. address: where the panel reaches it, a name or an IP address.
    helo: the name it says; "" when that is the server's own, which the panel does not know."""

    server: str
    address: str
    helo: str = ""


@dataclass(frozen=True)
class Sender:
    """A provider that sends for the domain. dns: None when nothing is known about what it wants.

    unsigned: mail is handed to it without a sign-in, so that it goes by the address of the server. delivers: and that
    address is what receivers see, or may be. origins: those servers, `more` of them left out."""

    label: str
    dns: Dns | None = None
    region: str = ""
    slug: str = ""
    unsigned: bool = False
    delivers: bool = False
    needs_helo: bool = False
    origins: tuple[Origin, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Finding:
    """area: spf | dkim | dmarc | return-path | mx | tls | server | blocklist. word: present | wrong | missing |
    optional | spreading | unknown. names: the records it rests on, each "name TYPE". link: a page that helps; from the
    panel's own data, never from DNS."""

    area: str
    state: str
    word: str
    what: str
    evidence: str = ""
    hint: str = ""
    names: tuple[str, ...] = ()
    link: str = ""


@dataclass(frozen=True)
class Publish:
    """A record to create, or to put in place of what is at `name` now. host: what DNS hosts ask for, relative to the
    zone; "@" for the zone itself. exact: the value as zone files and some DNS hosts have it: text in quotation marks,
    in strings of 255 characters at most; names with their last dot. line: the whole record in a zone file."""

    name: str
    host: str
    kind: str
    value: str
    why: str
    replaces: tuple[str, ...] = ()
    optional: bool = False
    exact: str = ""
    ttl: int = TTL

    @property
    def line(self) -> str:
        return f"{self.name}. {self.ttl} IN {self.kind} {self.exact}"


@dataclass(frozen=True)
class Spread:
    """A record of which resolvers still give an earlier answer, for `seconds` at most."""

    name: str
    kind: str
    seconds: int


@dataclass(frozen=True)
class Report:
    domain: str
    findings: tuple[Finding, ...] = ()
    publish: tuple[Publish, ...] = ()
    tree: dict = field(default_factory=dict)  # of spftree.Node.document()
    policy: dict = field(default_factory=dict)  # of mtasts.Seen: what the next check compares with

    @property
    def state(self) -> str:
        """What nobody can find out from here, of lists and servers, does not make the domain's DNS unknown."""
        return worst(f.state for f in self.findings if f.state != UNKNOWN or f.area not in ASIDE)

    def document(self) -> dict:
        """As JSON: what strangers wrote in DNS is made plain text."""
        document = {"domain": self.domain, "state": self.state} | {
            "findings": [asdict(f) for f in self.findings],
            "publish": [asdict(p) | {"line": p.line} for p in self.publish],
            "tree": self.tree,
            "policy": self.policy,
        }
        return _plain(document)


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return clean.text(value) if isinstance(value, str) else value


def worst(states: Iterable[str]) -> str:
    states = set(states)
    return next((state for state in _RANK if state in states), UNKNOWN)


def host(name: str, zone: str) -> str:
    """`name` as DNS hosts want it typed: without the zone's own name, "@" for the zone."""
    return "@" if name == zone else name.removesuffix(f".{zone}")


def record(name: str, zone: str, kind: str, value: str, why: str, **more) -> Publish:
    return Publish(name, host(name, zone), kind, value, why, exact=_exact(kind, value), **more)


def _exact(kind: str, value: str) -> str:
    if kind != "TXT":
        return f"{value}."
    pieces = (value[start : start + 255] for start in range(0, len(value), 255))
    return " ".join('"{}"'.format(piece.replace("\\", "\\\\").replace('"', '\\"')) for piece in pieces)


def within(report: Report, zone: str) -> Report:
    """The report with the names to type relative to `zone`, which holds the domain."""
    inside = (p.name == zone or p.name.endswith(f".{zone}") for p in report.publish)
    publish = zip(report.publish, inside, strict=True)
    return replace(report, publish=tuple(replace(p, host=host(p.name, zone)) if ours else p for p, ours in publish))


def spreading(report: Report, spreads: Iterable[Spread]) -> Report:
    """The report with what is published but not yet known everywhere told as such."""
    left = {f"{spread.name} {spread.kind}": spread.seconds for spread in spreads}
    return replace(report, findings=tuple(_spreading(f, left) for f in report.findings))


def _spreading(finding: Finding, left: dict[str, int]) -> Finding:
    seconds = max((left[name] for name in finding.names if name in left), default=None)
    if seconds is None or finding.state not in (OK, WARN) or finding.word == "optional":
        return finding
    hint = f"Published, spreading, {_minutes(seconds)} left: some resolvers still give the earlier answer. Wait."
    return replace(finding, state=WARN, word="spreading", hint=f"{hint} {finding.hint}".strip())


def _minutes(seconds: int) -> str:
    if seconds < 60:
        return "less than a minute"
    return f"{-(-seconds // 60)} min" if seconds < 7200 else f"{-(-seconds // 3600)} h"
