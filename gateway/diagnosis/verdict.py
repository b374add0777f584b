"""Why mail does not get out, in one sentence that is true and one that helps. Pure."""

from gateway.diagnosis import closed
from gateway.diagnosis.scan import Seen
from gateway.diagnosis.values import MODES, Asked, Verdict, Way
from gateway.diagnosis.ways import answers_for_another, best
from gateway.proof.values import Stage
from gateway.providers.replies import explain

# Where another port may well do better: nothing the provider said itself, nothing of a certificate it has everywhere.
_OF_THE_PORT = (
    "greeting-timed-out",
    "not-a-mail-server",
    "connection-lost",
    "tls-not-offered",
    "tls-broken-off",
    "tls-on-plain-port",
)
_MUTE = (
    "No other port tried there greets either: ask the provider whether its SMTP server is down, or whoever runs this "
    "server's network what holds mail back."
)
_BARE = (
    "No other port tried there offers encryption: check the SMTP server's name and port in the provider's "
    "instructions, or ask the provider for a port with encryption."
)
_DEAF = "Ask the provider whether this server's IP address is blocked there, and check the SMTP server's name."
_STRANGER = ("certificate-name-mismatch", "certificate-not-trusted", "tls-not-offered")


def judge(asked: Asked, seen: tuple[Seen, ...], blocker: Stage | None, words: str = "") -> Verdict | None:
    """None: nothing stood in the way. words: why the name has no address. blocker: the stage that said no."""
    if words:
        return _explained(words, asked)
    chosen = [one for one in seen if one.port == asked.port]
    if chosen and not any(one.state == "open" for one in chosen):
        return closed.judge(asked, seen)
    opened = next((one for one in chosen if one.state == "open"), None)
    if opened is not None and blocker is not None:
        found = _intercepted(asked, seen, opened, blocker) or _other_mode(asked, opened)
        if found:
            return found
    if blocker is None:
        return None
    return _without_encryption(asked, opened, blocker) or _at_the_port(asked, seen, blocker)


def _without_encryption(asked: Asked, opened: Seen | None, blocker: Stage) -> Verdict | None:
    """The sign-in is hidden until encryption is on."""
    hidden = blocker.explanation is not None and blocker.explanation.slug == "no-sign-in-offered"
    if asked.tls != "none" or opened is None or not (hidden and opened.starttls):
        return None
    way = Way(asked.port, "starttls")
    cause = f"Encryption is switched off, and {asked.host} lets nobody sign in on port {asked.port} without it."
    return Verdict("no-sign-in-offered", cause, f"{way.label}.", "port", way)


def _at_the_port(asked: Asked, seen: tuple[Seen, ...], blocker: Stage) -> Verdict:
    verdict, way = _explained(blocker.evidence, asked, blocker.explanation), None
    if blocker.name in ("greeting", "tls") and verdict.slug in _OF_THE_PORT:
        # A port that only answers TLS may be as little of a mail server as this one.
        way = best(asked, tuple(one for one in seen if one.smtp))
    cause, fix = _plainly(verdict, asked, blocker, way)
    return Verdict(verdict.slug, cause, fix, verdict.area, way)


def _plainly(verdict: Verdict, asked: Asked, blocker: Stage, way: Way | None) -> tuple[str, str]:
    """With what is known here and not to the catalogue: host, port, and whether another one would do."""
    there, meaning = f"{asked.host} on port {asked.port}", blocker.explanation
    if verdict.slug == "greeting-timed-out":
        return f"{there} takes the connection and then says nothing.", _or(way, _MUTE)
    if verdict.slug == "tls-not-offered":
        return f"{there} offers no encryption, or something on the way hides the offer.", _or(way, _BARE)
    if blocker.name == "greeting" and meaning and not meaning.exact and blocker.evidence.startswith("5"):
        return f"{there} answers and refuses to talk to this server.", _DEAF
    return verdict.cause, verdict.fix


def _or(way: Way | None, otherwise: str) -> str:
    return f"{way.label}." if way else otherwise


def _intercepted(asked: Asked, seen: tuple[Seen, ...], opened: Seen, blocker: Stage) -> Verdict | None:
    """Somebody on the way answers in the provider's place."""
    stranger = _stranger(asked, seen, opened, blocker)
    if not (stranger or answers_for_another(asked, opened)):
        return None
    greets = f" It greets with “{opened.greeting[:120]}”." if opened.greeting else ""
    way = best(asked, tuple(one for one in seen if not stranger or _domain(one.name) != stranger))
    instead = f" {way.label} meanwhile." if way else ""
    return Verdict(
        "smtp-intercepted",
        f"On port {asked.port} something on the way most likely answers in place of {asked.host}.{greets}",
        f"Ask whoever runs this server or its network to stop redirecting outgoing port {asked.port} (hosting panels "
        f"call it SMTP restrictions or mail inspection).{instead}",
        "port",
        way,
    )


def _stranger(asked: Asked, seen: tuple[Seen, ...], opened: Seen, blocker: Stage) -> str:
    """The domain of whoever greets here, has no certificate for the provider's name, and does not greet on all of its
    ports; "" when it may well be the provider."""
    here = _domain(opened.name)
    elsewhere = {_domain(one.name) for one in seen if one.port != asked.port and one.name} - {here}
    unproved = blocker.explanation is not None and blocker.explanation.slug in _STRANGER
    return here if unproved and elsewhere and here != _domain(asked.host) else ""


def _domain(name: str) -> str:
    """Enough to tell one owner's machines from another's: node names differ from greeting to greeting."""
    return ".".join(name.rstrip(".").lower().split(".")[-2:])


def _other_mode(asked: Asked, opened: Seen) -> Verdict | None:
    if opened.tls and asked.tls != "implicit":
        way = Way(asked.port, "implicit")
        cause = (
            f"Port {asked.port} of {asked.host} begins with encryption (TLS from the first byte), and "
            f"{MODES[asked.tls]} was chosen."
        )
        return Verdict("greeting-timed-out", cause, f"{way.label}.", "port", way)
    if opened.smtp and asked.tls == "implicit":
        cause = (
            f"Port {asked.port} of {asked.host} begins in clear text, and encryption from the first byte (TLS) was "
            "chosen."
        )
        way = Way(asked.port, "starttls") if opened.starttls else None
        fix = f"{way.label}." if way else "Choose a port that offers encryption."
        return Verdict("tls-on-plain-port", cause, fix, "port", way)
    return None


def _explained(words: str, asked: Asked, known=None) -> Verdict:
    meaning = known or explain(words, asked.preset)
    return Verdict(meaning.slug, meaning.cause, meaning.fix, meaning.area)
