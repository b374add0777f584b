"""Why mail does not get out, in one sentence that is true and one that helps. Pure."""

from dataclasses import dataclass

from gateway.diagnosis.scan import Seen
from gateway.proof.values import Stage
from gateway.providers.replies import explain

_PREFERRED = (587, 2525, 2587, 465, 2465)
_MODES = {"starttls": "STARTTLS", "implicit": "TLS from the first byte", "none": "no encryption"}
# Blockers another port may well not have.
_OF_THE_PORT = ("greeting", "tls")
_ELSEWHERE_THE_SAME = ("certificate-expired", "certificate-not-yet-valid", "certificate-weak", "tls-too-old")
_STRANGER = ("certificate-name-mismatch", "certificate-not-trusted", "tls-not-offered")


@dataclass(frozen=True)
class Way:
    port: int
    tls: str  # starttls | implicit | none

    @property
    def label(self) -> str:
        return f"Use port {self.port} with {_MODES[self.tls]}"


@dataclass(frozen=True)
class Asked:
    """The way that was chosen. own_name: what the server calls itself. ports: of the preset, the preferred first."""

    host: str
    port: int
    tls: str
    own_name: str = ""
    preset: str = ""
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """slug: stable, of the catalogue where it has one. cause: true. fix: helps. way: what would work instead."""

    slug: str
    cause: str
    fix: str
    area: str
    way: Way | None = None


def judge(asked: Asked, seen: tuple[Seen, ...], blocker: Stage | None, words: str = "") -> Verdict | None:
    """None: nothing stood in the way. words: why the name has no address. blocker: the stage that said no."""
    if words:
        return _explained(words, asked)
    chosen = [one for one in seen if one.port == asked.port]
    if chosen and not any(one.state == "open" for one in chosen):
        return _closed(asked, seen, chosen)
    opened = next((one for one in chosen if one.state == "open"), None)
    if opened is not None and blocker is not None:
        found = _intercepted(asked, seen, opened, blocker) or _other_mode(asked, opened)
        if found:
            return found
    if blocker is None:
        return None
    verdict = _of(blocker, asked)
    way = None
    if blocker.name in _OF_THE_PORT and verdict.slug not in _ELSEWHERE_THE_SAME:
        way = best(asked, seen)
    return Verdict(verdict.slug, verdict.cause, verdict.fix, verdict.area, way)


def best(asked: Asked, seen: tuple[Seen, ...]) -> Way | None:
    """The port to use instead: one that greets and offers STARTTLS, or answers TLS; the provider's own order first."""
    order = [*asked.ports, *_PREFERRED]
    ways = {one.port: way for one in seen if one.port != asked.port and (way := _way(asked, one))}
    rank = {port: order.index(port) if port in order else len(order) for port in ways}
    # Port 25 is for mail between providers: it is blocked sooner or later.
    ranked = sorted(ways, key=lambda port: (port == 25, rank[port], port))
    return ways[ranked[0]] if ranked else None


def _way(asked: Asked, one: Seen) -> Way | None:
    if one.state != "open" or _answers_for_another(asked, one):
        return None
    if one.tls:
        return Way(one.port, "implicit")
    if one.smtp and one.starttls:
        return Way(one.port, "starttls")
    return Way(one.port, "none") if one.smtp and asked.tls == "none" else None


def _closed(asked: Asked, seen: tuple[Seen, ...], chosen: list[Seen]) -> Verdict:
    states, way = {one.state for one in chosen}, best(asked, seen)
    if states == {"unreachable"}:
        return _explained(chosen[0].words, asked)
    return _silent(asked, seen, way) if "silent" in states else _refused(asked, seen, way)


def _silent(asked: Asked, seen: tuple[Seen, ...], way: Way | None) -> Verdict:
    at = f"port {asked.port} of {asked.host}"
    if way is not None:
        cause = (
            f"Port {asked.port} is dropped without a word, most likely by the cloud or a firewall of this server: "
            f"{asked.host} answers it on port {way.port} and not on {asked.port}."
        )
        fix = f"{way.label}, or ask whoever runs the network of this server to open outgoing port {asked.port}."
        return Verdict("port-blocked-other-open", cause, fix, "port", way)
    if all(one.state == "silent" for one in seen):
        slug = "all-ports-timed-out"
        cause = (
            f"None of the {len({one.port for one in seen})} ports tried at {asked.host} answers this server: either "
            "that host is down, or the network of this server lets no mail connection out."
        )
        fix = (
            "Diagnose the same provider from a server in another network. If it answers there, ask whoever runs this "
            "server's network to open outgoing port 587 or 2525; if not, check the name of the SMTP server."
        )
        return Verdict(slug, cause, fix, "server")
    cause = (
        f"No answer comes from {at}, while other ports there answer or are refused at once: most likely a firewall or "
        "the cloud drops this port."
    )
    fix = f"Check the port in the provider's manual, then have outgoing port {asked.port} opened for this server."
    slug = "port-25-timed-out" if asked.port == 25 else "connection-timed-out"
    return Verdict(slug, cause, fix, "port")


def _refused(asked: Asked, seen: tuple[Seen, ...], way: Way | None) -> Verdict:
    if way is not None:
        cause = (
            f"Port {asked.port} of {asked.host} is refused at once and port {way.port} answers: nothing listens on "
            f"{asked.port} there, or a firewall on the way rejects it."
        )
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


def _intercepted(asked: Asked, seen: tuple[Seen, ...], opened: Seen, blocker: Stage) -> Verdict | None:
    """Somebody on the way answers in the provider's place."""
    others = {_domain(one.name) for one in seen if one.port != asked.port and one.name}
    slug = blocker.explanation.slug if blocker.explanation else ""
    differs = (
        slug in _STRANGER and opened.name and others and _domain(opened.name) not in others | {_domain(asked.host)}
    )
    if not (differs or _answers_for_another(asked, opened)):
        return None
    greets = f" It greets with “{opened.greeting[:120]}”." if opened.greeting else ""
    way = best(asked, seen)
    instead = f" {way.label} meanwhile." if way else ""
    return Verdict(
        "smtp-intercepted",
        f"On port {asked.port} something on the way most likely answers in place of {asked.host}.{greets}",
        f"Ask whoever runs this server or its network to stop redirecting outgoing port {asked.port} (hosting panels "
        f"call it SMTP restrictions or mail inspection).{instead}",
        "port",
        way,
    )


def _domain(name: str) -> str:
    """Enough to tell one owner's machines from another's: node names differ from greeting to greeting."""
    return ".".join(name.rstrip(".").lower().split(".")[-2:])


def _answers_for_another(asked: Asked, one: Seen) -> bool:
    """This server's own mail program answers, or a firewall rewrites the conversation."""
    own, host = asked.own_name.lower(), asked.host.rstrip(".").lower()
    masked = "****" in one.greeting or any("XXXX" in word for word in one.offers)
    return masked or bool(own and one.name == own and own != host)


def _other_mode(asked: Asked, opened: Seen) -> Verdict | None:
    if opened.tls and asked.tls != "implicit":
        way = Way(asked.port, "implicit")
        cause = f"Port {asked.port} of {asked.host} speaks TLS from the first byte, and {_MODES[asked.tls]} was chosen."
        return Verdict("greeting-timed-out", cause, f"{way.label}.", "port", way)
    if opened.smtp and asked.tls == "implicit":
        cause = f"Port {asked.port} of {asked.host} begins in clear text, and TLS from the first byte was chosen."
        way = Way(asked.port, "starttls") if opened.starttls else None
        fix = f"{way.label}." if way else "Choose a port that offers encryption."
        return Verdict("tls-on-plain-port", cause, fix, "port", way)
    return None


def _of(blocker: Stage, asked: Asked) -> Verdict:
    return _explained(blocker.evidence, asked, blocker.explanation)


def _explained(words: str, asked: Asked, known=None) -> Verdict:
    meaning = known or explain(words, asked.preset)
    return Verdict(meaning.slug, meaning.cause, meaning.fix, meaning.area)
