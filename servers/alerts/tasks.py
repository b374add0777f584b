"""What the timetable asks of the alerts."""

from celery import shared_task
from django.utils import timezone

from servers.alerts import delivering


@shared_task(acks_late=False)
def tell() -> None:
    delivering.tell()


@shared_task(acks_late=False)
def forget() -> None:
    delivering.forget(timezone.now())


@shared_task(acks_late=False)
def deliver(pk: int) -> None:
    delivering.deliver(pk)
