import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from gateway.models import Gateway, Smarthost, Tls
from servers.remote.secret import Secret
from tests.factories.servers import ServerFactory


class SmarthostFactory(DjangoModelFactory):
    """A shared SMTP provider. `SmarthostFactory(default=True)` is the default of the settings page."""

    class Meta:
        model = Smarthost

    name = factory.Sequence(lambda n: f"provider {n}")
    host = "smtp.example.com"
    port = 587
    tls = Tls.STARTTLS
    username = "relay@example.com"
    password = factory.Sequence(lambda n: Secret(f"canary-smtp-password-{n}"))
    sending_domain = "example.com"

    class Params:
        default = factory.Trait(is_default=True)


class OwnSmarthostFactory(SmarthostFactory):
    """Values typed into one server's form."""

    server = factory.SubFactory(ServerFactory)


class GatewayFactory(DjangoModelFactory):
    """Absent. `GatewayFactory(working=True)` is installed and verified."""

    class Meta:
        model = Gateway

    server = factory.SubFactory(ServerFactory)
    wanted = factory.SubFactory(SmarthostFactory)

    class Params:
        working = factory.Trait(
            state=Gateway.State.WORKING,
            applied=factory.SelfAttribute("wanted"),
            installed_at=factory.LazyFunction(timezone.now),
            verified_at=factory.LazyFunction(timezone.now),
        )
