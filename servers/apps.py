from django.apps import AppConfig


class ServersConfig(AppConfig):
    name = "servers"

    def ready(self) -> None:
        from servers import catalog, checking

        catalog.register(checking.SERVICE)
