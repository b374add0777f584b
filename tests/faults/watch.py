"""Looks at a running panel from outside: its database file, read-only, while jobs go by."""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fleet.server import FleetServer
from tests.panel import PATIENCE, Panel

LIVE = ("queued", "running", "lost-contact")


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true value of `condition`, asked every 20 ms."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return value


class Records:
    """The panel's rows as they are on disk. Nothing here can change them."""

    def __init__(self, data: Path) -> None:
        self.address = f"file:{data / 'fleetpost.sqlite3'}?mode=ro"

    def ask(self, query: str, *values: object) -> list[dict[str, Any]]:
        connection = sqlite3.connect(self.address, uri=True, timeout=20)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    def job(self, number: int) -> dict[str, Any]:
        return self.ask("select * from jobs_job where id = ?", number)[0]

    def last_job(self, server: str, action: str = "gateway.install") -> dict[str, Any] | None:
        query = "select j.* from jobs_job j join servers_server s on s.id = j.server_id"
        found = self.ask(f"{query} where s.name = ? and j.action = ? order by j.id desc limit 1", server, action)
        return found[0] if found else None

    def jobs_of(self, server: str, action: str) -> int:
        query = "select count(*) as n from jobs_job j join servers_server s on s.id = j.server_id"
        return self.ask(f"{query} where s.name = ? and j.action = ?", server, action)[0]["n"]

    def steps(self, number: int, *, on_server: bool) -> list[tuple[str, str]]:
        query = "select slug, state from jobs_jobstep where job_id = ? and on_server = ? order by position"
        return [(row["slug"], row["state"]) for row in self.ask(query, number, on_server)]

    def server(self, name: str) -> dict[str, Any]:
        return self.ask("select * from servers_server where name = ?", name)[0]

    def page_of(self, name: str) -> str:
        """The path of a server's overview."""
        return f"/servers/{uuid.UUID(self.server(name)['id'])}/"

    def wait(self, number: int, *statuses: str) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            row = self.job(number)
            return row if row["status"] in statuses else None

        return until(there, f"job {number} is {' or '.join(statuses)}, not {self.job(number)['status']}")


@dataclass
class Witness:
    """Every state a panel shows, at 25 Hz, against what the servers themselves tell: the oracle of truth."""

    panel: Panel
    servers: dict[str, FleetServer]  # by their name in the panel
    seen: dict[int, list[str]] = field(default_factory=dict)
    lies: list[str] = field(default_factory=list)

    def __enter__(self) -> "Witness":
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(0.04):
            self._look()

    def _look(self) -> None:
        query = "select j.id, j.status, j.mutating, s.name from jobs_job j join servers_server s on s.id = j.server_id"
        for row in Records(self.panel.data).ask(query):
            self._note(row["id"], row["status"], row["name"] if row["mutating"] else "")

    def _note(self, number: int, status: str, name: str) -> None:
        known = self.seen.setdefault(number, [])
        if known and known[-1] == status:
            return
        if known and known[-1] not in LIVE:
            self.lies.append(f"job {number} was {known[-1]} and became {status}")
        known.append(status)
        if status not in LIVE and name in self.servers and unfinished(self.servers[name]):
            self.lies.append(f"job {number} is shown as {status} while {name} is still being changed")


def journals(server: FleetServer) -> list[list[str]]:
    """The journals of all runs on a server, as they are on its disk at this moment."""
    found = sorted(server.root.glob("var/lib/fleetpost/jobs/*/journal"))
    return [path.read_text(errors="replace").splitlines() for path in found]


def unfinished(server: FleetServer) -> bool:
    return any(not any(line.startswith("done ") for line in lines) for lines in journals(server))
