from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
    verbose_name = "Email gateway"

    def ready(self) -> None:
        from gateway import service
        from servers import catalog

        catalog.register(service.SERVICE)
