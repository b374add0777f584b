"""Tells the broker that a domain waits to be checked."""

from gateway.deliverability import tasks
from servers import bell


def check(pk: int) -> None:
    bell.ring(tasks.check, pk)


def work() -> None:
    bell.ring(tasks.work)
