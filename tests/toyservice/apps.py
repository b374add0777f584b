from django.apps import AppConfig


class ToyConfig(AppConfig):
    """A whole second service in one folder and one INSTALLED_APPS line: the proof that the catalogue is enough."""

    name = "tests.toyservice"
    label = "toyservice"

    def ready(self) -> None:
        from servers import catalog
        from tests.toyservice import service

        catalog.register(service.SERVICE)
