"""Every address of the panel × everybody who may knock."""

import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from controlpanel.access.gate import _GRANTS
from controlpanel.access.models import Role
from servers import catalog
from tests import factories

pytestmark = pytest.mark.django_db
# Open to strangers. Everything else leads them to the sign-in page.
PUBLIC = {"account_login", "account_logout", "account_inactive", "mfa_login_webauthn", "sign_in_link", "healthz"}
NOT_OFFERED = ("accounts/signup/", "accounts/email/", "accounts/confirm-email/", "accounts/password/reset/")
# 404 for a job that is not of their action, a domain nobody sends from, for a draft or a saved filter that is not there
OF_ONE_KIND = {"jobs:retry", "jobs:batch-retry", "gateway:previewed", "gateway:tested", "domains:domain"}
OF_ONE_KIND |= {
    "gateway:diagnosed",
    "alert-routes:add",
    "servers:import-draft",
    "servers:import-done",
    "servers:delete-filter",
}
# Its address names an entry of the catalogue; whose servers may be posted there is the matter of test_bulk.
BULK = "servers:bulk"


def patterns(resolver=None, route="", namespace=""):
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            inner = f"{namespace}:{entry.namespace}".strip(":") if entry.namespace else namespace
            yield from patterns(entry, route + str(entry.pattern), inner)
        elif isinstance(entry, URLPattern):
            yield route + str(entry.pattern).strip("^$"), f"{namespace}:{entry.name}".strip(":"), entry.callback


ALL = [(route, name, view) for route, name, view in patterns() if not route.startswith(NOT_OFFERED)]
OURS = [(route, name, view) for route, name, view in ALL if not route.startswith("accounts/")]
GUARDED = [(route, name, view.permission) for route, name, view in OURS if getattr(view, "permission", None)]


def of_others(namespace: str) -> dict:
    """A row of each kind the addresses name; its server belongs to no customer."""
    job = factories.JobFactory()
    return {
        "people": factories.ViewerFactory().pk,
        "smarthosts": factories.SmarthostFactory().pk,
        "alerts": factories.AlertFactory().pk,
        "alert-routes": factories.RouteFactory().pk,
        "jobs": job.pk,
        "batches": job.batch.pk,
        "keys": job.server.ssh_key_id or factories.SshKeyFactory().pk,
        "job": job.pk,
        "server": job.server.pk,
    }


def address(route: str, name: str) -> str:
    if name == BULK:
        return "/servers/bulk/server/check/"
    rows = of_others(name)
    namespace = name.partition(":")[0]
    kind = "batches" if "batches/" in route else namespace
    own = kind in ("smarthosts", "keys", "alert-routes")
    route = route.replace("<slug:preset>", "ses")
    path = re.sub(r"<uuid:pk>", str(rows[kind] if own else rows["server"]), route)
    path = re.sub(r"<int:pk>", str(rows.get(kind, 1)), path)
    path = re.sub(r"<(?:int|uuid):\w+>", str(rows["job"]), path)
    return "/" + re.sub(r"<(?:str|path|slug):\w+>", "x", path)


@pytest.mark.parametrize(("route", "name", "view"), OURS, ids=[name or route for route, name, _ in OURS])
def test_every_view_of_ours_states_who_may_see_it(route, name, view):
    assert name in PUBLIC or hasattr(view, "permission"), f"/{route} has neither needs() nor own_page"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(("route", "name", "view"), ALL, ids=[name or route for route, name, _ in ALL])
def test_a_stranger_is_led_to_the_sign_in_page(route, name, view, method):
    answer = getattr(Client(), method)(address(route, name))
    if name in PUBLIC:
        assert answer.status_code < 500
    elif answer.status_code != 404:
        assert answer.status_code in (302, 405), (answer.status_code, route)
        assert answer.status_code == 405 or answer.url.startswith(reverse("account_login"))


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize(("route", "name", "permission"), GUARDED, ids=[name or route for route, name, _ in GUARDED])
def test_each_role_meets_its_own_pages_and_404_elsewhere(route, name, permission, role):
    client = Client()
    client.force_login(factories.UserFactory(role=role))
    path = address(route, name)
    seen, posted = client.get(path), client.post(path)
    assert seen.status_code < 500
    assert posted.status_code < 500
    if permission not in _GRANTS[role]:
        assert seen.status_code in (404, 405)
        assert posted.status_code in (404, 405)
    elif role == Role.CUSTOMER and "<" in route and not route.startswith("settings/") and name != BULK:
        assert seen.status_code in (404, 405), "a customer reached somebody else's server"
        assert posted.status_code in (404, 405), "a customer reached somebody else's server"
    elif name not in OF_ONE_KIND:
        assert seen.status_code not in (403, 404), path


@pytest.mark.parametrize("path", ["/" + route for route in NOT_OFFERED] + ["/accounts/password/reset/key/x-y/"])
def test_what_needs_mail_or_sign_up_is_not_offered(path, operator_client):
    assert Client().get(path).status_code == 404
    assert operator_client.get(path).status_code == 404


def test_health_tells_nothing_but_ok():
    assert Client().get(reverse("healthz")).json() == {"ok": True}


def test_the_registered_services_are_among_the_guarded_addresses():
    served = {name.partition(":")[0] for _, name, _ in GUARDED}
    assert {service.slug for service in catalog.services() if not service.hidden} <= served
