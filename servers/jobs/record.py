"""Writes what a run does, step by step, in batches that renew the lease: a worker that lost it writes nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models import Max, Sum
from django.db.models.functions import Length
from django.utils import timezone

from servers.jobs.lease import FLUSH_SECONDS, Lease
from servers.jobs.lines import Budget, Masker, presentable
from servers.jobs.models import JobLine, JobStep

State = JobStep.State


class Recorder:
    """The JobSteps and JobLines of one run. Its lock lets the keeper's thread flush while the run's thread waits."""

    def __init__(self, lease: Lease, masker: Masker):
        self._lease = lease
        self._masker = masker
        self._lock = threading.RLock()
        self._waiting: list[JobLine] = []
        self._progress: dict = {}
        self._flushed = time.monotonic()
        job = lease.job
        self._position = 1 + (job.steps.aggregate(last=Max("position"))["last"] or 0)
        sums = job.lines.aggregate(last=Max("number"), used=Sum(Length("text")))
        self._number = 1 + (sums["last"] or 0)
        self._budget = Budget(sums["used"] or 0)

    def left_open(self) -> list[JobStep]:
        """Steps on the server that an earlier worker was following when it was lost."""
        return list(self._lease.job.steps.filter(on_server=True, state=State.RUNNING))

    def open(self, slug: str, title: str, on_server: bool = False) -> JobStep:
        with self._lock, transaction.atomic():
            self.flush(renew=True)
            step = JobStep.objects.create(
                job=self._lease.job,
                position=self._position,
                slug=slug[:60],
                title=presentable(title, self._masker)[0][:200],
                on_server=on_server,
                started_at=timezone.now(),
            )
            self._position += 1
            return step

    def line(self, step: JobStep, text: str) -> None:
        """Records one line or several; a remote's bytes decoded tolerantly are fine as they are."""
        with self._lock:
            for raw in text.removesuffix("\n").split("\n"):
                for piece in presentable(raw.removesuffix("\r"), self._masker):
                    self._keep(step, self._budget.take(piece))
            if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self.flush()

    def close(self, step: JobStep, state: str) -> None:
        with self._lock, transaction.atomic():
            for text in self._budget.end_of_step():
                self._keep(step, text)
            self.flush(renew=True)
            JobStep.objects.filter(pk=step.pk).update(state=state, finished_at=timezone.now())

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
            if not (self._waiting or self._progress or renew):
                return
            with transaction.atomic():
                self._lease.renew(**self._progress)
                JobLine.objects.bulk_create(self._waiting)
            self._waiting, self._progress = [], {}

    def _keep(self, step: JobStep, text: str | None) -> None:
        if text is not None:
            self._waiting.append(JobLine(job=self._lease.job, step=step, number=self._number, text=text))
            self._number += 1
