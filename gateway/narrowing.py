"""What the server list can be narrowed by beside the state: the SMTP provider in force, and whether its values are."""

from django.db.models import QuerySet
from django.db.models.functions import Lower

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from controlpanel.web.listing import Filter
from gateway import sharing, wanted
from gateway.models import Gateway, GatewayQuerySet, Smarthost

OWN, EARLIER, BEHIND, UNEVEN = "own", "earlier-password", "behind", "uneven"
VALUES = [(EARLIER, "On an earlier password"), (BEHIND, "Not up to date"), (UNEVEN, "Limits to divide anew")]


def filters(viewer: User) -> list[Filter]:
    """Only for whoever may know shared providers by their name."""
    if not may(viewer, Permission.USE_SHARED):
        return []
    named = Smarthost.objects.shared().order_by(Lower("name")).values_list("pk", "name")
    providers = [(str(pk), name) for pk, name in named]
    return [
        Filter("provider", "SMTP provider", [*providers, (OWN, "Own values")], _through),
        Filter("values", "", VALUES, _with_values),  # the provider's page links here
    ]


def _through(servers: QuerySet, value: str) -> QuerySet:
    if value == OWN:
        return servers.filter(gateway__applied__server__isnull=False)
    return servers.filter(gateway__applied=value)


def _with_values(servers: QuerySet, value: str) -> QuerySet:
    kinds = {EARLIER: Gateway.objects.on_earlier_password, BEHIND: Gateway.objects.behind, UNEVEN: _uneven}
    return servers.filter(pk__in=kinds[value]().order_by().values("server"))


def _uneven() -> GatewayQuerySet:
    found = Gateway.objects.none()
    for smarthost in Smarthost.objects.shared():
        found |= sharing.uneven(smarthost, wanted.share(smarthost))
    return found
