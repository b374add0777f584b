"""The threads of one worker process: the bell wakes one, and awake it takes job after job until nothing waits."""

import threading

from django.conf import settings

from servers.jobs import machine, presence, runner
from servers.jobs.models import Job

# A batch with more dead servers than there are threads leaves some to answer a person who asks for one server.
RESERVE = max(1, settings.WORKER_THREADS // 16)
_batch = threading.BoundedSemaphore(max(1, settings.WORKER_THREADS - RESERVE))


def wake(job_id: int) -> None:
    """Does this job if nobody else has it, then what waits. The last free threads take no job of a batch, and a worker
    that is ending takes none at all: the rows stay, and the other workers and the sweeper see them."""
    if presence.ending():
        return
    if not _batch.acquire(blocking=False):
        if Job.objects.filter(pk=job_id, rank=0).exists():
            runner.run(job_id)
        return
    try:
        runner.run(job_id)
        while not presence.ending() and (job := machine.take()):
            runner.work(job)
    finally:
        _batch.release()
