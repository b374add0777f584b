"""A conversation that broke off, told as a diagnosis tells it: by all ports of the provider."""

from collections.abc import Callable

from gateway import rules
from gateway.diagnosis import report, scan
from gateway.diagnosis.values import Asked, Verdict
from gateway.diagnosis.verdict import judge
from gateway.models import Smarthost
from gateway.postfix.spec import Relay
from gateway.proof import Proof, Stage
from gateway.proof.scene import Scene
from servers.jobs.run import Run
from servers.models import Server

_PORT_MATTERS = ("tcp", "greeting", "tls")


def asked(server: Server, smarthost: Smarthost, relay: Relay, scene: Scene) -> Asked:
    preset = rules.preset_of(smarthost.preset)
    return Asked(
        host=relay.host,
        port=relay.port,
        tls=relay.tls,
        own_name=scene.fqdn,
        preset=preset.slug,
        ports=() if preset.any_port else tuple(port for port, _ in preset.ports),
        cloud=server.cloud,
    )


def verdict(
    run: Run, smarthost: Smarthost, relay: Relay, scene: Scene, proof: Proof, tell: Callable[[str], None]
) -> Verdict | None:
    """Why `proof` failed; None where it did not. Where the port may be the reason, the others are tried first, and
    `tell` is given a line on each. Raises RemoteError."""
    blocker = proof.blocker
    if blocker is None:
        return None
    way = asked(run.server, smarthost, relay, scene)
    if not _port_matters(blocker, relay):
        return judge(way, (), blocker)
    ports = scan.ports(rules.preset_of(smarthost.preset), relay.port, relay.tls)
    found = scan.scan(run.connect(), relay.host, scene.addresses, ports, report.greeting_name(relay, scene))
    for line in report.table_lines(relay, found):
        tell(line)
    return judge(way, found.seen, blocker, found.words)


def kept(asked_for: Relay, found: Verdict) -> dict:
    """What the result of a job keeps of a verdict: why, and what would work instead."""
    explained = {"slug": found.slug, "cause": found.cause, "fix": found.fix, "area": found.area}
    return {"explanation": explained, "diagnosis": report.offer(asked_for.port, found)}


def _port_matters(blocker: Stage, relay: Relay) -> bool:
    """Without encryption a provider may hide its sign-in."""
    return blocker.name in _PORT_MATTERS or (blocker.name == "auth" and relay.tls == "none")
