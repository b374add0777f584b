"""One round-trip distance, one fleet: every contestant does every job on the same servers, in turn, several rounds."""

import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from benchmarks import meter, states
from benchmarks.floor import Floor, FloorError
from benchmarks.others import Others, PeerError
from benchmarks.product import RECIPIENT, SENDER, Product
from benchmarks.results import Row
from tests.fleet.delay import LISTEN, Links
from tests.fleet.fleet import Fleet
from tests.fleet.host import FleetError
from tests.fleet.server import FleetServer
from tests.panel import PanelError

TOOLS = ("fleetpost", "floor", "ansible", "pyinfra")
JOBS = ("reconfigure", "unchanged", "test", "install")
DELAY = 0.04  # seconds each way: 80 ms of added round-trip time
Say = Callable[[str], None]


class Contest:
    """A running fleet with its panel, the states "a" and "b" taken from servers the panel installed."""

    def __init__(self, fleet: Fleet, say: Say):
        self.fleet, self.say = fleet, say
        self.folder = Path(tempfile.mkdtemp(prefix="fleetpost-peers-"))
        self.product = Product(fleet)
        self.floor = Floor(fleet, self._key, self._relay)
        self.others = Others(fleet, self.folder)
        self.meter = meter.Meter(fleet.label)
        self.links: Links | None = None
        self.panel: dict[str, dict[str, states.Snapshot]] = {}
        self.peers: dict[str, dict[str, states.Snapshot]] = {}

    def prepare(self) -> None:
        """Installs the gateway everywhere, twice with another account, and keeps what came of it."""
        for account in ("a", "b"):
            began = time.monotonic()
            self.product.install(self.fleet.servers, account)
            self.say(f"state {account} made by the panel in {time.monotonic() - began:.1f} s")
            self.panel[account] = {server.name: states.take(server) for server in self.fleet.servers}
            self.peers[account] = {name: states.peers(state) for name, state in self.panel[account].items()}

    def far(self, seconds: float) -> None:
        """Puts this distance between the contestants and the servers; 0 takes it away."""
        if self.links:
            self.links.close()
            self.links = None
        places = {server.name: (str(server.address), 22) for server in self.fleet.servers}
        if seconds:
            self.links = Links(places, seconds)
            places = {name: (LISTEN, port) for name, port in self.links.ports.items()}
        self.product.reach(places)
        self.floor.places = self.others.places = places

    def attempt(self, job: str, servers: list[FleetServer], rtt: int, number: int, tool: str) -> Row | str:
        """One tool doing one job once, its end state checked; a sentence when that failed."""
        where = f"{job} on {len(servers)} at +{rtt} ms, round {number + 1}, {tool}"
        try:
            go, check = getattr(self, f"_{job}")(tool, servers)
            if self.links:
                self.links.turns()
            cost = self.meter.run(tool, [server.name for server in servers], go)
            check()
        except (states.Differs, FloorError, PeerError, PanelError, FleetError) as problem:
            said = " ".join(str(problem).split())[-300:]
            self.say(f"{where}: FAILED: {said}")
            return f"{where}: {said}"
        turns = None
        if self.links:
            counted = self.links.turns()
            turns = sum(counted[server.name] for server in servers) / len(servers)
        self.say(
            f"{where}: {cost.wall:.2f} s, control {cost.control:.2f} CPU-s, "
            f"servers {cost.servers / len(servers):.2f} CPU-s each" + (f", {turns:.0f} turns" if turns else "")
        )
        return Row(job, len(servers), rtt, tool, number, cost.wall, cost.control, cost.servers, turns)

    def _reconfigure(self, tool: str, servers: list[FleetServer]):
        return self._to_b(tool, servers, "a")

    def _unchanged(self, tool: str, servers: list[FleetServer]):
        if tool == "floor":
            states.put(servers, self.panel["b"])
            return self.floor.unchanged(servers), lambda: states.check(servers, self.panel["b"])
        return self._to_b(tool, servers, "b")

    def _to_b(self, tool: str, servers: list[FleetServer], start: str):
        """What brings the servers from state `start` to state "b", and what proves it."""
        known = self.panel if tool in ("fleetpost", "floor") else self.peers
        states.put(servers, known[start])
        check = lambda: states.check(servers, known["b"])  # noqa: E731
        if tool == "fleetpost":
            self.product.forget(servers, start)
            return lambda: self.product.install(servers, "b"), check
        if tool == "floor":
            return self.floor.reconfigure(servers, "b"), check
        return getattr(self.others, tool)("gateway", self.others.settle(servers, known["b"])), check

    def _test(self, tool: str, servers: list[FleetServer]):
        states.put(servers, self.panel["b"])
        self.fleet.provider.forget_messages()
        check = lambda: self.fleet.provider.wait_for_messages(len(servers))  # noqa: E731
        if tool == "fleetpost":
            return lambda: self.product.test(servers), check
        if tool == "floor":
            return self.floor.test(servers, SENDER, RECIPIENT), check
        return getattr(self.others, tool)("testmail", self.others.mails(servers, SENDER, RECIPIENT)), check

    def _install(self, tool: str, servers: list[FleetServer]):
        """Onto servers that have never seen Postfix."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda server: server.reset(), servers))
        known = self.panel if tool in ("fleetpost", "floor") else self.peers
        check = lambda: states.check(servers, known["b"])  # noqa: E731
        if tool == "fleetpost":
            return lambda: self.product.install(servers, "b"), check
        if tool == "floor":
            return self.floor.install(servers, "b"), check
        return getattr(self.others, tool)("gateway", self.others.settle(servers, known["b"])), check

    def _key(self, server: FleetServer) -> bytes:
        from gateway import wanted

        return wanted.digest_key(self.product.rows[server.name])

    def _relay(self, account: str):
        from gateway import wanted

        smarthost = self.product.accounts[account]
        return wanted.relay(smarthost, wanted.share(smarthost))

    def close(self) -> None:
        if self.links:
            self.links.close()
        self.product.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self.close()
