"""Fresh servers for one test after another: a used one is reset while the next test already runs."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.fleet.fleet import Fleet
from tests.fleet.server import FleetServer


class Pool:
    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.cleaner = ThreadPoolExecutor(max_workers=1)
        self.resets: dict[str, Future[None]] = {}
        self.lent: set[str] = set()

    @contextmanager
    def lend(self, distro: str) -> Iterator[FleetServer]:
        """A server just as it was installed; a distro the fleet lacks is added to it."""
        server = self.choose(distro)
        self.lent.add(server.name)
        try:
            if reset := self.resets.pop(server.name, None):
                reset.result()
            yield server
        finally:
            self.lent.remove(server.name)
            self.resets[server.name] = self.cleaner.submit(server.reset)

    def choose(self, distro: str) -> FleetServer:
        """Prefers a server that needs no waiting."""
        free = [server for server in self.fleet.servers if server.distro == distro and server.name not in self.lent]
        free.sort(key=lambda server: self.is_cleaning(server.name))
        return free[0] if free else self.fleet.add_server(distro)

    def is_cleaning(self, name: str) -> bool:
        reset = self.resets.get(name)
        return reset is not None and not reset.done()

    def close(self) -> None:
        self.cleaner.shutdown(wait=True, cancel_futures=True)
