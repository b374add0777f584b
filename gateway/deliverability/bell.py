"""Tells the broker that a domain waits to be checked. A lost ring costs minutes: the timetable rings again."""

import logging
import threading

from celery import Task

from gateway.deliverability import tasks

log = logging.getLogger(__name__)


def check(pk: int) -> None:
    _ring(tasks.check, pk)


def work() -> None:
    _ring(tasks.work)


def _ring(task: Task, *args: int) -> None:
    """Returns at once and never raises: a page must not wait for a broker that is down or silent. No daemon: a command
    that ends right after asking waits for its ring to leave, which the broker's time-outs bound."""
    threading.Thread(target=_send, args=(task, args), name="dns-bell").start()


def _send(task: Task, args: tuple[int, ...]) -> None:
    try:
        task.apply_async(args, retry=False)
    except Exception as error:  # every transport has its own errors; the row stays the truth
        log.warning("The broker was not told to check domains (%s); the timetable tells it later.", error)
