"""Batches over hundreds of servers while the panel is treated badly: every server has one outcome, and one run."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from benchmarks import cluster
from servers.jobs import launch
from servers.jobs.models import FINISHED, Job, Status
from tests.fakefleet import Fleet
from tests.fakefleet.rows import enrol
from tests.jobs import processes
from tests.jobs.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("toys")]
LONG = 150.0  # seconds the slowest machine may take; none of it is slept away


@pytest.fixture
def start(folder, broker, toy_machine):
    """start() -> a worker process over real SSH, ended with the test."""
    workers = []
    more = {"DJANGO_SETTINGS_MODULE": "tests.fakefleet.settings", "FLEETPOST_WORKER_THREADS": "32"}

    def start() -> processes.Worker:
        environment = processes.environment(folder, broker, toy_machine) | more
        workers.append(processes.Worker(folder, environment, threads=32))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def ended(batch) -> int:
    return batch.jobs.filter(status__in=FINISHED).count()


def held_up(fleet: Fleet) -> list[int]:
    """How many servers' runs overlapped or were refused: what a fence or the one live job per server should prevent."""
    return [number for number, machine in enumerate(fleet.ledger()) if machine["refused"]]


def test_workers_killed_at_random_during_500_servers_leave_500_outcomes_each_once(start):
    chance = random.Random(7)
    with Fleet(ok=500) as fleet:
        servers = enrol(fleet)
        worker = start()
        batch = launch.launch("toy.set", servers, by=None, options={"text": "once", "pause": 0.1})
        for mark in sorted(chance.sample(range(20, 450), 4)):
            until(lambda mark=mark: ended(batch) >= mark, LONG, f"{mark} outcomes")
            worker.kill()
            worker = start()
        until(lambda: ended(batch) == 500, LONG, "every outcome")
        assert batch.jobs.counts() == {Status.SUCCEEDED: 500}
        assert [len(machine["runs"]) for machine in fleet.ledger()] == [1] * 500
        assert held_up(fleet) == []
        assert batch.jobs.filter(fence__gt=1).exists(), "no job was met by a kill: the test proves nothing"


def test_a_broker_that_forgets_and_dies_in_the_middle_costs_no_outcome(start, broker):
    with Fleet(ok=200) as fleet:
        servers = enrol(fleet)
        worker = start()
        batch = launch.launch("toy.set", servers, by=None, options={"text": "once", "pause": 0.1})
        until(lambda: ended(batch) >= 20, LONG, "a beginning")
        broker.forget()
        late = launch.launch("toy.look", servers[:50], by=None)
        broker.forget()
        until(lambda: ended(batch) >= 60, LONG, "some more")
        broker.kill()
        lost = launch.launch("toy.look", servers[50:100], by=None)
        broker.start()
        until(lambda: ended(batch) + ended(late) + ended(lost) == 300, LONG, "every outcome")
        assert worker.process.poll() is None, "the worker outlives its broker"
        assert Job.objects.counts() == {Status.SUCCEEDED: 300}
        assert [len(machine["runs"]) for machine in fleet.ledger()] == [1] * 200


def test_two_batches_over_the_same_servers_never_change_one_twice_at_once(start):
    with Fleet(ok=100, slow=10, refuse=10, delay=0.5) as fleet:
        servers = enrol(fleet)
        start(), start()
        batches = [
            launch.launch("toy.set", servers, by=None, options={"text": "first", "pause": 0.1}),
            launch.launch("toy.look", servers, by=None),
        ]
        until(lambda: ended(batches[0]) >= 10, LONG, "a beginning")
        batches.append(launch.launch("toy.set", servers, by=None, options={"text": "second", "pause": 0.1}))
        until(lambda: sum(map(ended, batches)) == 360, LONG, "every outcome")
        assert held_up(fleet) == []
        for machine in fleet.ledger():
            runs = sorted(machine["runs"], key=lambda run: run["began"])
            assert all(first["ended"] <= second["began"] for first, second in zip(runs, runs[1:], strict=False))
        busy = batches[2].jobs.filter(cause="busy").count()
        assert 0 < busy < 120, "both batches should have met"
        assert batches[0].jobs.counts() == {Status.SUCCEEDED: 110, Status.FAILED: 10}


def test_a_database_that_restarts_in_the_middle_costs_no_outcome():
    """SQLite cannot restart: the test below, in a process of its own on a PostgreSQL of its own."""
    inner = f"{__file__}::test_on_postgresql_a_restart_costs_no_outcome"
    try:
        with cluster.cluster() as environment:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", inner],
                env=os.environ | environment,
                cwd=settings.BASE_DIR,
                capture_output=True,
                text=True,
            )
    except cluster.NoPostgres as missing:
        pytest.skip(str(missing))
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


@pytest.mark.skipif("not os.environ.get('FLEETPOST_DATABASE_HOST')", reason="run by the test above")
def test_on_postgresql_a_restart_costs_no_outcome(start):
    """A job that met it is taken up again when its lease is over; no server is changed twice."""
    with Fleet(ok=200) as fleet:
        servers = enrol(fleet)
        worker = start()
        batch = launch.launch("toy.set", servers, by=None, options={"text": "once", "pause": 0.1})
        until(lambda: ended(batch) >= 30, LONG, "a beginning")
        restart_database()
        until(lambda: ended_after_all(batch) == 200, LONG, "every outcome")
        assert worker.process.poll() is None, "the worker outlives its database"
        assert batch.jobs.counts() == {Status.SUCCEEDED: 200}
        assert [len(machine["runs"]) for machine in fleet.ledger()] == [1] * 200
        assert batch.jobs.filter(fence__gt=1).exists(), "no job was met by the restart: the test proves nothing"


def restart_database() -> None:
    data = Path(connection.settings_dict["HOST"]) / "data"
    owner = data.stat().st_uid
    command = [cluster._program("pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "restart"]
    subprocess.run(command, check=True, user=owner, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ended_after_all(batch) -> int:
    """This process has connections from before the restart as well."""
    try:
        return ended(batch)
    except OperationalError:
        connection.close()
        return 0
