"""What the broker may ask for. Messages carry a job's id and nothing else.

They are acknowledged before the work, because the row and the sweeper bring back what a worker drops, within seconds.
Late acknowledgement brings nothing on top and costs the worker: when the broker restarts in the middle of a job, kombu
5.7 breaks at the acknowledgement and the process ends, with all its other jobs.
"""

from celery import shared_task
from django.utils import timezone

from servers.jobs import crew, presence, pruning, sweeper, watch  # noqa: F401 - presence and watch hear Celery


@shared_task(acks_late=False)
def run(job_id: int) -> None:
    crew.wake(job_id)


@shared_task(acks_late=False)
def sweep() -> None:
    sweeper.sweep()


@shared_task(acks_late=False)
def prune() -> None:
    pruning.prune(timezone.now())
