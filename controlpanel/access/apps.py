from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "controlpanel.access"
    label = "access"
    verbose_name = "People"
