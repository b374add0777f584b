from functools import partial

from django.apps import AppConfig


class DeliverabilityConfig(AppConfig):
    name = "gateway.deliverability"
    label = "deliverability"
    verbose_name = "Deliverability"

    def ready(self) -> None:
        from gateway import smarthosts
        from gateway.deliverability import bell, domains

        smarthosts.tell(partial(domains.saved, ring=bell.check))
