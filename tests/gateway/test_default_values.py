"""Load defaults: what of the shared account a server's form shows, to whom, and where its password goes."""

import pytest

from gateway import smarthosts
from gateway.models import Gateway, Smarthost
from gateway.values import Values
from servers.jobs.models import Job
from servers.remote.secret import Secret
from tests.factories import GatewayFactory
from tests.gateway.test_pages import DEFAULT, SECRET, page, services
from tests.gateway.test_pages import clients as clients  # the fixture
from tests.gateway.test_pages import default as default  # the fixture
from tests.gateway.test_pages import server as server  # the fixture

pytestmark = pytest.mark.django_db


def test_load_defaults_fills_the_fields_and_keeps_the_secret(administrator_client, server, default):
    text = administrator_client.get(services(server, "?load=defaults")).content.decode()
    assert 'value="smtp.canary-default.example"' in text
    assert "the stored default is used" in text
    assert SECRET not in text


@pytest.mark.parametrize("role", ["operator", "viewer", "customer"])
@pytest.mark.parametrize("query", ["", "?load=defaults", "?provider=own:generic"])
def test_nobody_else_sees_or_loads_the_defaults(role, query, clients, server, default):
    GatewayFactory(server=server, wanted=default, working=True)
    text = clients[role].get(services(server, query)).content.decode()
    assert "Load defaults" not in text
    for value in (DEFAULT["host"], DEFAULT["username"], DEFAULT["sending_domain"], SECRET):
        assert value not in text
    if role == "customer":
        assert DEFAULT["name"] not in text
        assert str(default.pk) not in text


def test_unaltered_defaults_use_the_shared_account(administrator_client, server, default):
    loaded = {**_shown(default), "provider": "own:generic", "password_from": default.pk}
    assert administrator_client.post(page("install", server), loaded).status_code == 302
    assert Gateway.objects.get(server=server).wanted == default


def test_altered_fields_beside_the_endpoint_keep_the_default_password(administrator_client, server, default):
    loaded = {**_shown(default), "provider": "own:generic", "password_from": default.pk, "sending_domain": "b.example"}
    administrator_client.post(page("install", server), loaded)
    own = Gateway.objects.get(server=server).wanted
    assert (own.server, own.password, own.confidential) == (server, Secret(SECRET), True)


@pytest.mark.parametrize("change", [{"host": "evil.example.net"}, {"username": "x"}, {"verify_certificate": ""}])
def test_an_altered_endpoint_never_gets_the_default_password(change, administrator_client, server, default):
    loaded = {**_shown(default), "provider": "own:generic", "password_from": default.pk, **change}
    answer = administrator_client.post(page("install", server), loaded)
    assert answer.status_code == 422
    assert "is not used for another server" in answer.content.decode()
    assert not Gateway.objects.filter(server=server).exists()


def test_another_port_of_own_values_asks_for_no_password(administrator_client, server, administrator):
    new = Values(host="smtp.example.com", username="relay", password=Secret(SECRET), sending_domain="example.com")
    mine = smarthosts.own(server, new, by=administrator)
    GatewayFactory(server=server, wanted=mine, working=True)
    text = administrator_client.get(services(server)).content.decode()
    assert "Leave blank to keep it for this server and user name." in text
    typed = {**_shown(mine), "provider": f"own:{mine.preset}", "port": "2525", "password": ""}
    assert administrator_client.post(page("install", server), typed).status_code == 302
    wanted = Gateway.objects.get(server=server).wanted
    assert (wanted.port, wanted.password) == (2525, Secret(SECRET))
    assert administrator_client.post(page("install", server), typed | {"host": "evil.example.net"}).status_code == 422


@pytest.mark.parametrize("role", ["operator", "customer"])
def test_a_forged_reference_to_the_default_gives_nothing(role, clients, server, default):
    forged = {**_shown(default), "provider": "own:generic", "password_from": default.pk}
    assert clients[role].post(page("install", server), forged).status_code == 422
    shared = clients[role].post(page("install", server), {"provider": f"shared:{default.pk}"})
    assert shared.status_code == (302 if role == "operator" else 422)


def test_own_values_made_from_the_default_stay_hidden(clients, server, default, administrator):
    new = Values(**_values(default) | {"sending_domain": "b.example"})
    own = smarthosts.own(server, new, by=administrator, known=default)
    GatewayFactory(server=server, wanted=own, working=True)
    for role in ("operator", "customer"):
        text = clients[role].get(services(server)).content.decode()
        assert DEFAULT["host"] not in text
        assert "Set up by your administrator" in text
        assert clients[role].post(page("install", server), {"provider": "keep"}).status_code == 302
        Job.objects.all().delete()


def _values(smarthost: Smarthost) -> dict:
    return {name: getattr(smarthost, name) for name in ("host", "port", "username", "sending_domain")}


def _shown(smarthost: Smarthost) -> dict:
    """What the browser sends back after Load defaults."""
    return _values(smarthost) | {"tls": "", "verify_certificate": "on"}
