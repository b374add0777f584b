"""Why mail does not get out, in one sentence that is true and one that helps. Pure."""

from gateway.diagnosis import closed
from gateway.diagnosis.scan import Seen
from gateway.diagnosis.values import MODES, Asked, Verdict, Way
from gateway.diagnosis.ways import answers_for_another, best
from gateway.proof.values import Stage
from gateway.providers.replies import explain

# Blockers another port may well not have.
_OF_THE_PORT = ("greeting", "tls")
_ELSEWHERE_THE_SAME = ("certificate-expired", "certificate-not-yet-valid", "certificate-weak", "tls-too-old")
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
    verdict = _of(blocker, asked)
    way = None
    if blocker.name in _OF_THE_PORT and verdict.slug not in _ELSEWHERE_THE_SAME:
        way = best(asked, seen)
    return Verdict(verdict.slug, verdict.cause, verdict.fix, verdict.area, way)


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
        cause = f"Port {asked.port} of {asked.host} speaks TLS from the first byte, and {MODES[asked.tls]} was chosen."
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
