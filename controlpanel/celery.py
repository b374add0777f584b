"""The doorbell. Messages carry a job id and nothing else; losing all of them loses nothing."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")

app = Celery("fleetpost")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "sweep": {"task": "servers.jobs.tasks.sweep", "schedule": 5.0, "options": {"expires": 10}},
    "prune": {"task": "servers.jobs.tasks.prune", "schedule": 3600.0, "options": {"expires": 600}},
}
