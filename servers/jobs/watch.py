"""Whether anybody works. Told by the scheduler: workers cannot tell that they are gone, and web processes may all
sleep. While there is no worker the scheduler sends the alerts itself."""

import logging
import threading
from datetime import datetime, timedelta

from celery.signals import beat_init
from django.db import close_old_connections
from django.db.models import Max
from django.utils import timezone

from servers.alerts import delivering, raising
from servers.alerts.models import Limits
from servers.jobs.models import Worker

log = logging.getLogger(__name__)
EVERY = 20  # seconds
KIND = "no-worker"


def look(now: datetime, since: datetime) -> None:
    """since: when this scheduler began; before that nobody watched."""
    minutes = Limits.current().worker_minutes
    seen = Worker.objects.aggregate(last=Max("seen_at"))["last"] or since
    if now - max(seen, since) < timedelta(minutes=minutes):
        if seen > now - timedelta(minutes=minutes):
            raising.recovered(KIND, "panel")
        return
    raising.raise_alert(
        KIND,
        "panel",
        cause=KIND,
        text="No worker is present: jobs wait and no server is looked at",
        hint="Start the worker process, or look at its log for why it ended.",
    )
    delivering.tell()


def _keep(since: datetime) -> None:
    stop = threading.Event()
    while not stop.wait(EVERY):
        try:
            look(timezone.now(), since)
        except Exception:  # a database that is away for a moment must not end the thread
            log.exception("The scheduler could not look for workers; trying again.")
        close_old_connections()


@beat_init.connect
def _begin(**_) -> None:
    threading.Thread(target=_keep, args=(timezone.now(),), name="watch", daemon=True).start()
