"""The roof: settings, mounts, processes."""

from controlpanel.celery import app as celery_app

__all__ = ["celery_app"]
