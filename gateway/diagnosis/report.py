"""A diagnosis in words and as the JSON its page is made of."""

from gateway.diagnosis.scan import Scan, Seen
from gateway.diagnosis.values import Asked, Verdict
from gateway.proof.scene import Scene
from gateway.proof.values import Proof, Relay, Stage
from gateway.providers.replies import explain
from servers.remote import cloud

WAYS = {
    "tunnel": "The panel spoke itself, through its SSH connection to the server.",
    "server": "The server's own tools (bash, openssl) spoke, because its SSH forwards no connections.",
    "none": "",
}
_SHOWN = (25, 465, 587, 2525, 2587)  # columns of a batch
_BEST = ("open", "refused", "silent", "unreachable")


def greeting_name(relay: Relay, scene: Scene) -> str:
    return relay.helo_name or scene.fqdn or "localhost.localdomain"


def reached(relay: Relay, scene: Scene, found: Scan) -> list[Stage]:
    """Name and connection, as far as the scan tells: nothing when it told nothing."""
    if found.words:
        words = f"{relay.host}: {found.words}"
        return [Stage("name", "fail", words, scene.ms, explain(words))]
    chosen = [one for one in found.seen if one.port == relay.port]
    if not chosen:
        return []
    name = Stage("name", "ok", f"{relay.host} [{', '.join(scene.addresses)}]", scene.ms)
    first = min(chosen, key=lambda one: _BEST.index(one.state))
    if first.state == "open":
        return [name, Stage("tcp", "ok", f"{relay.host} port {relay.port} answers", first.ms)]
    words = f"connect to {relay.host}[{first.address}]:{relay.port}: {_words(first)}"
    return [name, Stage("tcp", "fail", words, first.ms, explain(words))]


def table(host_port: int, found: Scan) -> list[dict]:
    """One row a port: {"port", "chosen", "ipv4", "ipv6" (state or ""), "answer", "greeting", "ms"}."""
    rows = []
    for port in sorted({one.port for one in found.seen}):
        four = _first(one for one in found.seen if one.port == port and ":" not in one.address)
        six = _first(one for one in found.seen if one.port == port and ":" in one.address)
        best = _first(one for one in (four, six) if one is not None)
        rows.append(
            {
                "port": port,
                "chosen": port == host_port,
                "ipv4": four.state if four else "",
                "ipv6": six.state if six else "",
                "answer": answer(best),
                "greeting": best.greeting,
                "ms": best.ms if best.state == "open" else None,
            }
        )
    return rows


def answer(one: Seen) -> str:
    if one.state != "open":
        return _words(one)
    if one.tls:
        return "TLS from the first byte"
    if one.smtp:
        return "SMTP with STARTTLS" if one.starttls else "SMTP without encryption"
    return "speaks, but not as a mail server that is ready" if one.greeting else "open, and says nothing"


def table_lines(relay: Relay, found: Scan) -> list[str]:
    if found.words:
        return [f"{relay.host}: {found.words}"]
    return [f"{relay.host}[{one.address}]:{one.port}: {one.state}. {answer(one)}. {one.greeting}" for one in found.seen]


def notes(asked: Asked, seen: tuple[Seen, ...]) -> list[str]:
    chosen = [one for one in seen if one.port == asked.port]
    four = [one for one in chosen if ":" not in one.address and one.state == "open"]
    six = [one for one in chosen if ":" in one.address]
    # A server without IPv6 is told so at once and loses no time; silence costs Postfix its whole time-out.
    if four and any(one.state == "silent" for one in six) and not any(one.state == "open" for one in six):
        return [
            f"{asked.host} also has IPv6 addresses, and they do not answer this server. Postfix tries them too "
            "and waits; without working IPv6 on this server, set inet_protocols = ipv4 in its main.cf."
        ]
    return []


def fine(asked: Asked, stages: tuple[Stage, ...]) -> str:
    """The outcome when nothing said no."""
    at, open_questions = f"{asked.host} port {asked.port}", [s for s in stages if s.state in ("warn", "unknown")]
    told = f"Nothing stands in the way from this server to {at}. Nothing was sent: a test email shows the rest."
    if not open_questions:
        return told
    first = open_questions[0]
    meaning = first.explanation.cause if first.explanation else first.evidence
    return f"{first.title} at {at} stays open: {meaning} Everything before it works."


def result(
    asked: Asked, found: Scan, stages: tuple[Stage, ...], proof: Proof, said: tuple[str, ...], verdict: Verdict | None
) -> dict:
    """{"diagnosis": …}, and the small values that a batch compares: flat ones for its columns, and "tried": {"port",
    "states": {port: state}, "instead": [port, tls] or None} for what its servers say together."""
    blocker = next((stage for stage in stages if stage.state == "fail"), None)
    whole = {
        "host": asked.host,
        "port": asked.port,
        "tls": asked.tls,
        "way": WAYS[proof.way],
        "stages": [_stage(stage) for stage in stages],
        "ports": table(asked.port, found),
        "transcript": list(proof.transcript),
        "notes": list(said),
    }
    states = {port: _state(found, port) for port in sorted({one.port for one in found.seen})}
    others = [f"{port} {state}" for port, state in states.items() if port not in _SHOWN]
    flat = {f"port_{port}": states.get(port, "") for port in _SHOWN if found.seen}
    flat |= {"cloud": cloud.label(asked.cloud), "other_ports": ", ".join(others)}
    flat["tried"] = {"port": asked.port, "states": states, "instead": None}
    if verdict is None:
        return flat | {"diagnosis": whole}
    way = verdict.way
    if way is not None:
        flat["instead"] = f"{way.port} {way.tls}"
        flat["tried"]["instead"] = [way.port, way.tls]
    whole |= offer(asked.port, verdict)
    explained = {"slug": verdict.slug, "cause": verdict.cause, "fix": verdict.fix, "area": verdict.area}
    evidence = blocker.evidence if blocker else ""
    return flat | {"diagnosis": whole, "explanation": explained, "evidence": evidence}


def offer(port: int, verdict: Verdict) -> dict:
    """What a page leads to: {"port"} that was tried, "instead": {"port", "tls", "label"} and "where", if there are."""
    found: dict = {"port": port}
    if way := verdict.way:
        found["instead"] = {"port": way.port, "tls": way.tls, "label": way.label}
    return found | ({"where": verdict.where} if verdict.where else {})


def _stage(stage: Stage) -> dict:
    return {"name": stage.name, "title": stage.title, "state": stage.state, "text": stage.evidence, "ms": stage.ms}


def _state(found: Scan, port: int) -> str:
    one = _first(one for one in found.seen if one.port == port)
    return one.state if one else ""


def _first(seen) -> Seen | None:
    return min(seen, key=lambda one: _BEST.index(one.state), default=None)


def _words(one: Seen) -> str:
    return "Connection timed out" if one.state == "silent" else one.words or "Connection refused"
