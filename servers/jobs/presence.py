"""Whether a worker is there. Every worker process notes itself and sweeps, so neither depends on a free task slot or on
the scheduler."""

import logging
import os
import socket
import threading
from datetime import timedelta

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from servers.jobs import sweeper
from servers.jobs.models import Worker

log = logging.getLogger(__name__)
PRESENT = timedelta(seconds=15)
_ending = threading.Event()


def workers_present() -> bool:
    """Whether a worker was alive within the last 15 seconds."""
    return Worker.objects.filter(seen_at__gte=timezone.now() - PRESENT).exists()


def ending() -> bool:
    """Whether this worker was told to end: it finishes what it is doing and begins nothing."""
    return _ending.is_set()


def note() -> None:
    now = timezone.now()
    Worker.objects.update_or_create(name=_name(), defaults={"seen_at": now})
    Worker.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()


def _name() -> str:
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


def _keep() -> None:
    while not _ending.is_set():
        try:
            note()
            sweeper.sweep()
        except Exception:  # a database that is away for a moment must not end the thread
            log.exception("The worker could not note its presence; trying again.")
        close_old_connections()
        _ending.wait(settings.JOB_HEARTBEAT_SECONDS or 5)


@worker_ready.connect
def _arrive(**_) -> None:
    threading.Thread(target=_keep, name="presence", daemon=True).start()


@worker_shutting_down.connect
def _leave(**_) -> None:
    _ending.set()
    threading.Thread(target=lambda: Worker.objects.filter(name=_name()).delete(), daemon=True).start()
