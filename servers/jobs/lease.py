"""The right to act for a job, and the thread that keeps it while a run waits for its server."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from django.conf import settings
from django.db import close_old_connections, connection

from servers.jobs import machine
from servers.jobs.models import Job

log = logging.getLogger(__name__)
FLUSH_SECONDS = 0.5  # a line is on its way to the page within half a second


class LeaseLost(Exception):
    """Another worker holds this job now: this one must not act or write any more."""


class Lease:
    """Held from a claim until `machine.finish`. Safe to use from the run's thread and the keeper's."""

    def __init__(self, job: Job, on_lost: Callable[[], None] = lambda: None):
        self.job = job
        self.lost = False
        self._on_lost = on_lost
        self._renewed = time.monotonic()

    def renew(self, **progress) -> None:
        """Renews and writes `progress` in one UPDATE. Raises LeaseLost, having written nothing."""
        asked = time.monotonic()
        if self.lost or not machine.hold(self.job, **progress):
            self.lose()
            raise LeaseLost
        self.renewed(asked)

    def renewed(self, asked: float) -> None:
        """The database said at `asked` or later that the job is ours."""
        self._renewed = asked

    def check(self) -> None:
        """Raises LeaseLost. A process that was paused for longer than its lease asks the database first."""
        if self.lost:
            raise LeaseLost
        if time.monotonic() - self._renewed > settings.JOB_LEASE_SECONDS / 2:
            self.renew()

    def release(self) -> None:
        """The job is over: nobody acts for it any more."""
        self.lost = True

    def lose(self) -> None:
        if not self.lost:
            self.lost = True
            self._on_lost()


class Kept(Protocol):
    lease: Lease

    def flush(self) -> None:
        """Writes what is waiting to be written. Raises LeaseLost."""


class Keeper:
    """One thread per process: renews the leases of all its runs and writes the lines that wait.

    JOB_HEARTBEAT_SECONDS = 0 keeps it from starting; runs then renew and write only when they act.
    """

    def __init__(self):
        self._runs: set[Kept] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, run: Kept) -> None:
        with self._lock:
            self._runs.add(run)
            if settings.JOB_HEARTBEAT_SECONDS and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)
                self._thread.start()

    def remove(self, run: Kept) -> None:
        with self._lock:
            self._runs.discard(run)

    def _keep(self) -> None:
        beaten = time.monotonic()
        while True:
            time.sleep(FLUSH_SECONDS)
            with self._lock:
                runs = list(self._runs)
                if not runs:
                    self._thread = None
                    break
            if time.monotonic() - beaten >= settings.JOB_HEARTBEAT_SECONDS:
                beaten = time.monotonic()
                self._renew([run for run in runs if not run.lease.lost])
            for run in runs:
                self._tend(run)
        connection.close()

    def _renew(self, runs: list[Kept]) -> None:
        """All at once: one after the other, hundreds of runs would outlast the first one's lease."""
        asked = time.monotonic()
        try:
            held = machine.hold_many([run.lease.job for run in runs])
        except Exception:  # a database that is away for a moment must not end the thread that keeps every lease
            log.exception("The leases of %s jobs could not be renewed; trying again.", len(runs))
            close_old_connections()
            return
        for run in runs:
            if run.lease.job.pk in held:
                run.lease.renewed(asked)
            elif not run.lease.lost:
                self._taken_over(run)

    def _taken_over(self, run: Kept) -> None:
        log.warning("Job %s was taken over by another worker.", run.lease.job.pk)
        run.lease.lose()
        self.remove(run)

    def _tend(self, run: Kept) -> None:
        try:
            run.flush()
        except LeaseLost:
            self._taken_over(run)
        except Exception:
            log.exception("What job %s did could not be written; trying again.", run.lease.job.pk)
            close_old_connections()


keeper = Keeper()
