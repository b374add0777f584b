"""What the broker may ask for. Messages carry a job's id and nothing else."""

from celery import shared_task

from servers.jobs import presence, runner, sweeper  # noqa: F401 - importing presence makes a worker note itself


@shared_task
def run(job_id: int) -> None:
    runner.run(job_id)


@shared_task
def sweep() -> None:
    sweeper.sweep()
