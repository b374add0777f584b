from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "servers.jobs"
    label = "jobs"
