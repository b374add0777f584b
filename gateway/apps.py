from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
    verbose_name = "Email gateway"

    def ready(self) -> None:
        from gateway import alarms, service
        from servers import catalog
        from servers.alerts import relays

        catalog.register(service.SERVICE)
        relays.register(alarms.RELAYS)
