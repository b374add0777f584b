from django.apps import AppConfig


class DeliverabilityConfig(AppConfig):
    name = "gateway.deliverability"
    label = "deliverability"
    verbose_name = "Deliverability"

    def ready(self) -> None:
        from gateway import smarthosts
        from gateway.deliverability import domains

        smarthosts.tell(domains.saved)
