import pytest
from django.test import Client

from gateway.models import Gateway
from servers.models import Server
from tests import factories

pytestmark = pytest.mark.django_db


def numbers(client) -> dict[str, int]:
    return {number["slug"]: number["value"] for number in client.get("/").context["numbers"]}


@pytest.fixture
def fleet():
    broken = factories.GatewayFactory(state=Gateway.State.BROKEN, reason="535 wrong password", queued=7)
    working = factories.GatewayFactory(state=Gateway.State.WORKING, queued=2)
    refused = factories.ServerFactory(reach=Server.Reach.FAILED)
    return broken.server, working.server, refused


def test_the_numbers_agree_with_the_lists_behind_them(administrator_client, fleet):
    page = administrator_client.get("/")
    for number in page.context["numbers"][:3]:
        listed = administrator_client.get(number["url"]).context["listing"].page.paginator.count
        assert listed == number["value"], number["slug"]
    assert numbers(administrator_client)["deferred"] == 9


def test_whatever_needs_somebody_names_the_reason_and_a_button(administrator_client, fleet):
    needing = administrator_client.get("/").context["needing"]
    assert {line["server"] for line in needing} == {fleet[0], fleet[2]}
    assert all(line["reason"] and line["fix"] and line["url"] for line in needing)
    assert "535 wrong password" in administrator_client.get("/").content.decode()


def test_a_customer_sees_only_own_servers_and_no_names(customer, customer_client, administrator, fleet):
    factories.JobFactory(batch__asked_by=administrator, server=fleet[1])
    fleet[1].people.add(customer)
    page = customer_client.get("/").content.decode()
    assert fleet[1].name in page
    assert fleet[0].name not in page
    assert administrator.name not in page
    assert administrator.email not in page
    assert numbers(customer_client) | {"working": 1, "needs-you": 0, "deferred": 2} == numbers(customer_client)


def test_an_empty_panel_shows_the_way_to_the_first_email(administrator_client, customer_client):
    steps = administrator_client.get("/").context["steps"]
    assert [step["next"] for step in steps] == [True, False, False, False]
    factories.SmarthostFactory()
    assert [step["next"] for step in administrator_client.get("/").context["steps"]] == [False, True, False, False]
    assert customer_client.get("/").context["steps"] == []


def test_the_way_disappears_once_a_gateway_works(administrator_client, fleet):
    assert administrator_client.get("/").context["steps"] == []


def test_archived_servers_are_not_counted(administrator_client, fleet):
    Server.objects.update(archived_at="2026-01-01T00:00Z")
    assert numbers(administrator_client)["needs-you"] == 0


def test_the_cost_does_not_grow_with_the_fleet(administrator, django_assert_max_num_queries):
    client = Client()
    client.force_login(administrator)
    for _ in range(25):
        factories.GatewayFactory(state=Gateway.State.BROKEN, queued=3)
        factories.JobFactory()
    with django_assert_max_num_queries(12):
        client.get("/")
