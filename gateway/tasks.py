"""What the timetable asks of the gateways."""

from celery import shared_task
from django.utils import timezone

from gateway import failed_tests, health, rotation


@shared_task(acks_late=False)
def forget_unused() -> None:
    rotation.forget_unused()


@shared_task(acks_late=False)
def look() -> None:
    health.sweep()


@shared_task(acks_late=False)
def count_tests() -> None:
    failed_tests.count(timezone.now())
