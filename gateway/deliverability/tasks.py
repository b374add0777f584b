"""Reading DNS on the timetable and when somebody asks."""

from celery import shared_task
from django.utils import timezone

from gateway.deliverability import domains


@shared_task(acks_late=False)
def check(pk: int) -> None:
    domains.check_one(pk)


@shared_task(acks_late=False)
def work() -> None:
    domains.work()


@shared_task(acks_late=False)
def check_due() -> None:
    domains.collect()
    for _ in domains.due(timezone.now(), domains.AT_ONCE):
        work.delay()
