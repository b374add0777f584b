"""Writes what a run does, step by step, in batches that renew the lease: a worker that lost it writes nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Sum
from django.db.models.functions import Length
from django.utils import timezone

from servers.jobs.lease import FLUSH_SECONDS, Lease, LeaseLost
from servers.jobs.lines import Budget, Masker, presentable
from servers.jobs.models import JobLine, JobStep

State = JobStep.State


class Recorder:
    """The JobSteps and JobLines of one run. What happens waits here until the keeper's thread writes it, twice a
    second, or the end of the run does: most jobs are over before and are written once. The lock is between the two.

    Where no keeper runs (JOB_HEARTBEAT_SECONDS = 0) each step is written as it begins and ends.
    """

    def __init__(self, lease: Lease, masker: Masker):
        self._lease = lease
        self._masker = masker
        self._lock = threading.RLock()
        self._begun: list[JobStep] = []  # not stored yet
        self._ended: list[JobStep] = []  # stored while they ran
        self._lines: list[tuple[JobStep, int, str]] = []
        self._progress: dict = {}
        self._flushed = time.monotonic()
        self._position, self._number, used = self._earlier() if lease.job.fence > 1 else (0, 0, 0)
        self._budget = Budget(used)

    def _earlier(self) -> tuple[int, int, int]:
        """What earlier claims of this job have recorded: last position, last number, characters."""
        job = self._lease.job
        sums = job.lines.aggregate(last=Max("number"), used=Sum(Length("text")))
        return job.steps.aggregate(last=Max("position"))["last"] or 0, sums["last"] or 0, sums["used"] or 0

    def left_open(self) -> list[JobStep]:
        """Steps on the server that an earlier worker was following when it was lost."""
        return list(self._lease.job.steps.filter(on_server=True, state=State.RUNNING))

    def open(self, slug: str, title: str, on_server: bool = False) -> JobStep:
        with self._lock:
            self._position += 1
            step = JobStep(
                job=self._lease.job,
                position=self._position,
                slug=slug[:60],
                title=presentable(title, self._masker)[0][:200],
                on_server=on_server,
                started_at=timezone.now(),
            )
            self._begun.append(step)
            self._written_at_once()
            return step

    def line(self, step: JobStep, text: str) -> None:
        """Records one line or several; a remote's bytes decoded tolerantly are fine as they are."""
        with self._lock:
            for raw in text.removesuffix("\n").split("\n"):
                for piece in presentable(raw.removesuffix("\r"), self._masker):
                    self._keep(step, self._budget.take(piece))
            if time.monotonic() - self._flushed >= 2 * FLUSH_SECONDS:  # the keeper is late, or there is none
                self.flush()

    def close(self, step: JobStep, state: str) -> None:
        with self._lock:
            for text in self._budget.end_of_step():
                self._keep(step, text)
            step.state, step.finished_at = state, timezone.now()
            if step.pk:
                self._ended.append(step)
            self._written_at_once()

    @contextmanager
    def together(self, **progress) -> Iterator[None]:
        """What is recorded inside is stored in one piece with these columns of the job."""
        with self._lock:
            self._progress |= progress
            yield

    def flush(self, renew: bool = False) -> None:
        """Raises LeaseLost, having written nothing."""
        with self._lock:
            self._flushed = time.monotonic()
            if not (renew or self._begun or self._ended or self._lines or self._progress):
                return
            with transaction.atomic():
                self._lease.renew(**self._progress)
                self._store()
            self._forget()

    def end(self, finish: Callable[[Callable[[], None]], bool]) -> None:
        """`finish(record)` ends the job, calls `record` in the same transaction, and says whether it was still ours.
        Raises LeaseLost."""
        # This lock first, as in `flush`: the keeper may hold it and wait for the database.
        with self._lock:
            if not finish(self._store):
                self._lease.lose()
                raise LeaseLost
            self._forget()
            self._lease.release()

    def _store(self) -> None:
        for step in self._begun:  # may carry a number from a transaction that was undone
            step.pk = None
        JobStep.objects.bulk_create(self._begun)
        for step in self._ended:
            JobStep.objects.filter(pk=step.pk).update(state=step.state, finished_at=step.finished_at)
        JobLine.objects.bulk_create(
            JobLine(job=self._lease.job, step_id=step.pk, number=number, text=text)
            for step, number, text in self._lines
        )

    def _forget(self) -> None:
        self._begun, self._ended, self._lines, self._progress = [], [], [], {}

    def _written_at_once(self) -> None:
        if not settings.JOB_HEARTBEAT_SECONDS:
            self.flush(renew=True)

    def _keep(self, step: JobStep, text: str | None) -> None:
        if text is not None:
            self._number += 1
            self._lines.append((step, self._number, text))
