"""What the timetable asks of the gateways."""

from celery import shared_task

from gateway import health, rotation


@shared_task(acks_late=False)
def forget_unused() -> None:
    rotation.forget_unused()


@shared_task(acks_late=False)
def look() -> None:
    health.sweep()
