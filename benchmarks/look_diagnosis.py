"""A diagnosis of one real server by a running panel: its turns over a line of 80 ms, and how long ports cost that drop.

The floor is one tuned ssh that is given every script of it at once, the conversation with the provider as the panel has
it made where a server forwards no connections, and records nothing.
"""

import subprocess
import time
from statistics import median

from benchmarks.fleetrun import DELAY
from benchmarks.looks import row

TURNS, RATIO = 15, 1.2
DROPPED = (25, 465, 587, 2525, 2587)


def rows(quick: bool) -> list[dict]:
    from benchmarks.product import Product
    from tests.fleet.fleet import Fleet
    from tests.fleet.host import obstacles
    from tests.fleet.labels import reserved_label

    if reasons := obstacles():
        raise SystemExit("; ".join(reasons))
    with reserved_label("looks") as label, Fleet(label, ["debian12"]) as fleet:
        product = Product(fleet)
        try:
            product.install(fleet.servers, "a")
            return [*_turns(product, 1 if quick else 5), _ports(product, 1 if quick else 3)]
        finally:
            product.close()


def _turns(product, rounds: int) -> list[dict]:
    """Medians of the whole diagnosis and of the floor, in turn."""
    from tests.fleet.delay import LISTEN, Links

    (server,) = product.fleet.servers
    scripts = _scripts(product)
    ours, floor = [], []
    with Links({server.name: (str(server.address), 22)}, DELAY) as links:
        product.reach({server.name: (LISTEN, links.ports[server.name])})
        for _ in range(rounds + 1):  # the first loads what a worker loads once
            links.waits()
            job = product.diagnose(server, "succeeded")
            ours.append((links.waits()[server.name], (job.finished_at - job.started_at).total_seconds()))
            seconds = _floor(product.fleet, links.ports[server.name], scripts)
            floor.append((links.waits()[server.name], seconds))
    product.reach({server.name: (str(server.address), 22)})
    (turns, wall), (least, best) = (map(median, zip(*measured[1:], strict=True)) for measured in (ours, floor))
    about = f"{wall:.1f} s; one tuned ssh with the same scripts: {least:.0f} turns, {best:.1f} s"
    name = f"network turns of a full diagnosis, +{round(2000 * DELAY)} ms"
    return [
        row(name, f"≤ {TURNS}", turns, "turns", turns <= TURNS, about),
        row(f"full diagnosis, +{round(2000 * DELAY)} ms: wall / floor", "", wall / best, "×", None),
    ]


def _ports(product, rounds: int) -> dict:
    """How much longer all ports take that drop than one that does. The step's own times, not the sign-in's."""
    (server,) = product.fleet.servers
    took = {}
    for dropped in (DROPPED[-1:], DROPPED):
        for port in dropped:
            server.drop(port, "out")
        jobs = [product.diagnose(server) for _ in range(rounds)]
        steps = [job.steps.get(slug="ports") for job in jobs]
        took[dropped] = median((step.finished_at - step.started_at).total_seconds() for step in steps)
        if {job.result[f"port_{port}"] for job in jobs for port in dropped} != {"silent"}:
            raise SystemExit("the ports were not dropped")
        server.unblock()
    one, every = took.values()
    note = f"{one:.2f} s with one, {every:.2f} s with all"
    return row("port scan, all five ports dropped / one", f"≤ {RATIO} ×", every / one, "×", every / one <= RATIO, note)


class _Noting:
    """A host, reached without SSH, that keeps what it is told to run."""

    def __init__(self, server):
        self._server, self.scripts = server, []

    def run(self, script, **_):
        from servers.remote.host import Output
        from servers.remote.secret import Secret

        self.scripts.append(script.reveal().decode() if isinstance(script, Secret) else script)
        done = self._server.run(["sh", "-s"], input=self.scripts[-1])
        return Output(done.stdout.encode(), b"", 0, 0.0)


def _scripts(product) -> str:
    from gateway import rules, wanted
    from gateway.diagnosis import path, report, scan
    from gateway.proof import scene, script

    (server,), account = product.fleet.servers, product.accounts["a"]
    relay, host = wanted.relay(account, 0), _Noting(server)
    seen = scene.look(host, relay.host)
    ports = scan.ports(rules.preset_of(account.preset), relay.port, relay.tls)
    scan.scan(host, relay.host, seen.addresses, ports, report.greeting_name(relay, seen))
    address, helo = relay.probe_address, relay.helo_name or seen.fqdn
    host.run(script.script(relay, address, helo, seen.bundle, seen.addresses[0], 10, address))
    host.run(path.script(address, "journal", path.WAIT))
    return "".join(f"( {text}\n)\n" for text in host.scripts)


def _floor(fleet, port: int, scripts: str) -> float:
    from benchmarks.floor import ssh
    from tests.fleet.delay import LISTEN

    began = time.monotonic()
    argv = ssh(fleet.directory / "id_ed25519", LISTEN, port)
    said = subprocess.run(argv, input=scripts.encode(), capture_output=True, timeout=120).stdout
    if b"status=deliverable" not in said:
        raise SystemExit(f"the floor failed: {said[-500:].decode(errors='replace')}")
    return time.monotonic() - began
