"""Tells the broker of a task that is no job. A lost ring costs minutes: the timetable does what waits."""

import logging
import threading

from celery import Task

log = logging.getLogger(__name__)


def ring(task: Task, *args: int) -> None:
    """Returns at once and never raises: a page must not wait for a broker that is down or silent. No daemon: a command
    that ends right after asking waits for its ring to leave, which the broker's time-outs bound."""
    threading.Thread(target=_send, args=(task, args), name="task-bell").start()


def _send(task: Task, args: tuple[int, ...]) -> None:
    try:
        task.apply_async(args, retry=False)
    except Exception as error:  # every transport has its own errors; the row stays the truth
        log.warning("The broker was not told of %s (%s); the timetable does it later.", task.name, error)
