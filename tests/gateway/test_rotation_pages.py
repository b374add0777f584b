"""One password, once for all: rolling out, putting back and forgetting by page."""

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gateway import smarthosts, values
from gateway.models import Gateway
from servers.bulk import BUSY
from servers.jobs.models import Job
from servers.models import Server
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, JobFactory, ServerFactory
from tests.gateway.test_pages import SECRET, SETTINGS
from tests.gateway.test_pages import clients as clients  # the fixture
from tests.gateway.test_pages import default as default  # the fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def rotated(default, administrator):
    servers = [GatewayFactory(wanted=default, working=True, server__name=f"web-{n}").server for n in range(3)]
    Server.objects.update(reach="ok")
    new = replace(values.of(default), password=Secret("canary-rotated-password"))
    smarthosts.change(default, default.name, new, by=administrator)
    return servers


def settings_page(name: str, default) -> str:
    return reverse(f"smarthosts:{name}", args=[default.pk])


@pytest.mark.parametrize("role", SETTINGS)
def test_passwords_are_rolled_out_put_back_and_forgotten_by_administrators(role, clients, rotated, default):
    for name in ("roll-out", "roll-back", "forget"):
        assert clients[role].get(settings_page(name, default)).status_code == SETTINGS[role], name
    if role != "administrator":
        for name in ("roll-out", "roll-back", "forget"):
            assert clients[role].post(settings_page(name, default)).status_code == SETTINGS[role], name
        default.refresh_from_db()
        assert (Job.objects.count(), default.keeps_previous, default.revision) == (0, True, 2)


def test_a_saved_password_leads_to_the_servers_that_still_use_the_earlier_one(administrator_client, default):
    GatewayFactory(wanted=default, working=True), GatewayFactory(wanted=default, working=True)
    data = {"preset": "generic", "name": default.name, "host": default.host, "port": 587, "tls": ""}
    data |= {"verify_certificate": "on", "username": default.username, "password": "canary-new-password"}
    data |= {"sending_domain": default.sending_domain}
    answer = administrator_client.post(settings_page("edit", default), data)
    assert answer.url == settings_page("edit", default)
    text = administrator_client.get(answer.url).content.decode()
    assert "Prove on 1 server, then roll out to all 2" in text
    assert f"?provider={default.pk}&amp;values=earlier-password" in text
    assert "canary-new-password" not in text
    assert SECRET not in text


def test_one_confirm_page_proves_on_one_server_first(administrator_client, rotated, default):
    text = administrator_client.get(settings_page("roll-out", default)).content.decode()
    assert "are brought to 3 servers" in text
    assert "If it fails, no other server is touched." in text
    data = {"first": str(rotated[1].pk), "batch_percent": "50", "stop_after": "1"}
    answer = administrator_client.post(settings_page("roll-out", default), data)
    batch = Job.objects.first().batch
    assert answer.url == reverse("jobs:batch", args=[batch.pk])
    assert (batch.canary, batch.portion, batch.stop_after) == (1, 50, 1)
    assert batch.jobs.get(released_at__isnull=False).server == rotated[1]


def test_wrong_options_are_refused_beside_their_field(administrator_client, rotated, default):
    data = {"first": str(ServerFactory().pk), "batch_percent": "200"}
    answer = administrator_client.post(settings_page("roll-out", default), data)
    assert answer.status_code == 422
    assert not Job.objects.exists()


def test_busy_servers_are_named_as_left_out(administrator_client, rotated, default):
    JobFactory(server=rotated[0], action="gateway.reinstall")
    text = administrator_client.get(settings_page("roll-out", default)).content.decode()
    assert "are brought to 2 servers" in text
    assert BUSY in text
    assert rotated[0].name in text


def test_putting_back_says_whom_it_reaches_and_does_it(administrator_client, rotated, default):
    default.refresh_from_db()
    Gateway.objects.filter(server=rotated[0]).update(applied_revision=2, applied_password_revision=2)
    text = administrator_client.get(settings_page("roll-back", default)).content.decode()
    assert "1 server already runs on the present one" in text
    assert "2 servers never left the earlier one" in text
    answer = administrator_client.post(settings_page("roll-back", default))
    job = Job.objects.get()
    assert (answer.url, job.server) == (reverse("jobs:job", args=[job.pk]), rotated[0])
    default.refresh_from_db()
    assert default.password == Secret(SECRET)


def test_nothing_to_put_back_is_said(administrator_client, default):
    for name in ("roll-back", "forget"):
        for answer in (
            administrator_client.get(settings_page(name, default), follow=True),
            administrator_client.post(settings_page(name, default), follow=True),
        ):
            assert "keeps no earlier password" in answer.content.decode()


def test_forgetting_is_asked_on_a_page_of_its_own(administrator_client, rotated, default):
    text = administrator_client.get(settings_page("forget", default)).content.decode()
    assert "3 servers still run on an earlier password" in text
    administrator_client.post(settings_page("forget", default))
    default.refresh_from_db()
    assert not default.keeps_previous


@pytest.mark.parametrize(("role", "sees"), [("administrator", 1), ("operator", 1), ("viewer", 0), ("customer", 0)])
def test_only_who_may_name_shared_providers_narrows_the_list_by_them(role, sees, clients, rotated, default, customer):
    for server in (*rotated, ServerFactory(name="elsewhere")):
        server.people.add(customer)
    text = clients[role].get(reverse("servers:list") + f"?provider={default.pk}").content.decode()
    assert ("Canary provider" in text) == bool(sees)
    assert ("elsewhere" in text) == (not sees)
    Gateway.objects.filter(server=rotated[0]).update(applied_revision=2, applied_password_revision=2)
    text = clients[role].get(reverse("servers:list") + "?values=earlier-password").content.decode()
    assert ("web-0" in text) == (not sees)
    assert "web-1" in text


@pytest.mark.parametrize("name", ["edit", "roll-out", "roll-back", "forget"])
def test_a_providers_pages_cost_the_same_for_three_servers_and_for_thirty(name, administrator_client, rotated, default):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert administrator_client.get(settings_page(name, default)).status_code == 200
        return len(seen)

    few = queries()
    for _ in range(27):
        GatewayFactory(wanted=default, working=True)
    assert queries() == few <= 14
