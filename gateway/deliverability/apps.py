from django.apps import AppConfig


class DeliverabilityConfig(AppConfig):
    name = "gateway.deliverability"
    label = "deliverability"
    verbose_name = "Deliverability"
