"""What a check says: findings, and the records to publish. Pure; kept as JSON by `document`."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from gateway.providers.preset import Dns

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "fail", "unknown"
_RANK = (FAIL, WARN, UNKNOWN, OK)


@dataclass(frozen=True)
class Sender:
    """A provider that sends for the domain. dns: None when nothing is known about what it wants."""

    label: str
    dns: Dns | None = None
    region: str = ""


@dataclass(frozen=True)
class Finding:
    """area: spf | dkim | dmarc | return-path | mx | tls. word: present | wrong | missing | optional | spreading |
    unknown. names: the records it rests on, each "name TYPE"."""

    area: str
    state: str
    word: str
    what: str
    evidence: str = ""
    hint: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Publish:
    """A record to create, or to put in place of what is at `name` now. host: what DNS hosts ask for, relative to
    `domain`; "@" for the domain itself. pieces: the value in strings of 255 characters at most, for hosts that ask."""

    name: str
    host: str
    kind: str
    value: str
    why: str
    replaces: tuple[str, ...] = ()
    optional: bool = False
    pieces: str = ""


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

    @property
    def state(self) -> str:
        return worst(f.state for f in self.findings)

    def document(self) -> dict:
        return {"domain": self.domain, "state": self.state} | {
            "findings": [asdict(f) | {"names": list(f.names)} for f in self.findings],
            "publish": [asdict(p) | {"replaces": list(p.replaces)} for p in self.publish],
            "tree": self.tree,
        }


def worst(states: Iterable[str]) -> str:
    states = set(states)
    return next((state for state in _RANK if state in states), UNKNOWN)


def host(name: str, zone: str) -> str:
    """`name` as DNS hosts want it typed: without the zone's own name, "@" for the zone."""
    return "@" if name == zone else name.removesuffix(f".{zone}")


def record(name: str, zone: str, kind: str, value: str, why: str, **more) -> Publish:
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)]
    split = " ".join(f'"{piece}"' for piece in pieces) if kind == "TXT" and len(pieces) > 1 else ""
    return Publish(name, host(name, zone), kind, value, why, pieces=split, **more)


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
