from datetime import timedelta

import factory
from django.utils import timezone

from servers.alerts.models import Alert, Route, Trouble
from servers.remote.secret import Secret


def a_while_ago():
    return timezone.now() - timedelta(minutes=5)


class AlertFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Alert

    kind = "gateway-failing"
    key = factory.Sequence(lambda n: f"{n:064x}")
    text = "The provider refuses the password"
    hint = "Type the password anew."
    opened_at = factory.LazyFunction(a_while_ago)


class TroubleFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Trouble

    alert = factory.SubFactory(AlertFactory)
    kind = factory.LazyAttribute(lambda row: row.alert.kind)
    subject = factory.Sequence(lambda n: f"subject-{n}")
    text = factory.LazyAttribute(lambda row: row.alert.text)
    opened_at = factory.LazyAttribute(lambda row: row.alert.opened_at)


class RouteFactory(factory.django.DjangoModelFactory):
    """A webhook on this machine."""

    class Meta:
        model = Route

    name = factory.Sequence(lambda n: f"Route {n}")
    way = Route.Way.WEBHOOK
    address = "http://127.0.0.1:9/"
    secret = Secret("a signing secret")
