from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "servers.alerts"
    label = "alerts"
