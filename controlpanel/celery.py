"""The doorbell. Messages carry a job id and nothing else; losing all of them loses nothing."""

import os
import sys

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")

app = Celery("fleetpost")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "sweep": {"task": "servers.jobs.tasks.sweep", "schedule": 5.0, "options": {"expires": 10}},
    "forget": {"task": "gateway.tasks.forget_unused", "schedule": 3600.0, "options": {"expires": 600}},
    "look": {"task": "gateway.tasks.look", "schedule": 60.0, "options": {"expires": 50}},
    "tell": {"task": "servers.alerts.tasks.tell", "schedule": 15.0, "options": {"expires": 15}},
    "forget-alerts": {"task": "servers.alerts.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "count-tests": {"task": "gateway.tasks.count_tests", "schedule": 60.0, "options": {"expires": 50}},
    "domains": {"task": "gateway.deliverability.tasks.check_due", "schedule": 300.0, "options": {"expires": 240}},
    "prune": {"task": "servers.jobs.tasks.prune", "schedule": 3600.0, "options": {"expires": 600}},
}


def worker_command() -> list[str]:
    """The argument list of a worker process."""
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "controlpanel", "worker", "--pool", "threads"]
    return [
        *celery,
        "--concurrency",
        str(settings.WORKER_THREADS),
        "--loglevel",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
    ]
