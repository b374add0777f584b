"""Two people press the same button at the same moment."""

import os
import re
import signal
import sqlite3
import threading

import pytest

from tests.faults.conftest import add_server
from tests.faults.visitor import Visitor
from tests.faults.watch import Records
from tests.panel import Panel

pytestmark = pytest.mark.fleet
ROUNDS = 5


def test_two_installs_at_once_are_one_job(panel, records: Records, server, provider):
    add_server(panel, server, "clicked")
    people = [Visitor(panel, f"{name}@example.org", "operator") for name in ("olga", "otto")]
    services = f"{records.page_of('clicked')}services/"
    # A server that is not there keeps an install short; who may ask is decided before anybody looks.
    server.reject(22)
    for _ in range(ROUNDS):
        worker = panel.process_of("worker")
        pause(panel, worker)
        try:
            before = records.jobs_of("clicked", "gateway.install")
            answers = press(people, services)
            assert records.jobs_of("clicked", "gateway.install") == before + 1
            job = records.last_job("clicked")
            assert [status for status, _, _ in answers] == [200, 200]
            ways = sorted(url.removeprefix(panel.url) for _, url, _ in answers)
            assert ways == sorted([f"/jobs/{job['id']}/", services]), "one sees the job, the other is told"
            (other,) = [page for _, url, page in answers if url.endswith("/services/")]
            assert "already has a job" in other
            assert f'href="/jobs/{job["id"]}/"' in other
        finally:
            os.kill(worker, signal.SIGCONT)
        assert records.wait(job["id"], "failed", "succeeded", "errored")["status"] == "failed"


def pause(panel: Panel, worker: int) -> None:
    """Stops the worker between two of its writes: in the middle of one it would keep everybody else from writing."""
    while True:
        os.kill(worker, signal.SIGSTOP)
        database = sqlite3.connect(panel.data / "fleetpost.sqlite3", timeout=1, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            os.kill(worker, signal.SIGCONT)
        finally:
            database.close()


def press(people: list[Visitor], services: str) -> list[tuple[int, str, str]]:
    page = people[0].get(services)[2]
    provider = re.search(r'value="(shared:[0-9a-f-]+)"', page).group(1)
    tokens = [person.token(services) for person in people]
    together, answers = threading.Barrier(len(people)), [None] * len(people)

    def click(at: int) -> None:
        together.wait()
        answers[at] = people[at].post(f"{services}gateway/install/", token=tokens[at], provider=provider)

    threads = [threading.Thread(target=click, args=(at,)) for at in range(len(people))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
