"""The chart and the table of providers agree with the list behind each of their numbers."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from gateway.models import TestEmail as Sent
from tests import factories

pytestmark = pytest.mark.django_db
DELIVERIES = ["sent", "sent", "sent", "deferred", "bounced", "queued"]


@pytest.fixture
def history():
    """{"gateways": two on a shared provider, "own": one with own values}, each with tests of several days."""
    shared = factories.SmarthostFactory(name="Main account", username="relay-user@example.com")
    gateways = [factories.GatewayFactory(wanted=shared, working=True) for _ in range(2)]
    server = factories.ServerFactory()
    own = factories.OwnSmarthostFactory(server=server, name="Typed here", host="mx.example.net", username="own")
    gateways.append(factories.GatewayFactory(server=server, wanted=own, working=True))
    for gateway in gateways:
        Sent.objects.create(server=gateway.server, at=timezone.now() - timedelta(days=14), delivery="sent")
        for back, delivery in reversed(list(enumerate(DELIVERIES))):
            at = timezone.now() - timedelta(days=back * 2)
            Sent.objects.create(
                server=gateway.server,
                smarthost=gateway.applied,
                at=at,
                delivery=delivery,
                reply=f"250 {gateway.applied.host}",
            )
    return gateways


def count(client, url: str) -> int:
    return client.get(url).context["listing"].page.paginator.count


def test_every_bar_leads_to_exactly_what_it_counts(administrator_client, history):
    shown = administrator_client.get("/").context["chart"]
    bars = [(bar.day, outcome, n) for bar in shown.bars for outcome, n in bar.counts]
    assert sum(n for _, _, n in bars) == shown.total == 18
    for day, outcome, n in bars:
        assert count(administrator_client, f"/test-emails/?day={day}&delivery={outcome}") == n
    assert count(administrator_client, "/test-emails/") == 18


def test_the_links_of_the_chart_and_its_table_are_the_same(administrator_client, history):
    text = administrator_client.get("/").content.decode()
    assert text.count(f"day={timezone.localdate()}&amp;delivery=sent") == 2
    assert "Test emails, last 14 days" in text
    assert " style=" not in text


def test_the_table_of_providers_agrees_with_the_lists_behind_it(administrator_client, history):
    rows = administrator_client.get("/").context["providers"]
    assert [(row["name"], row["servers"]) for row in rows] == [("Main account", 2), ("", 1)]
    for row in rows:
        assert count(administrator_client, row["servers_url"]) == row["servers"]
        for test in row["tests"]:
            assert count(administrator_client, test["url"]) == test["count"]
    assert rows[0]["last"].delivery == "sent"
    assert "250" in rows[0]["reply"]


def test_an_operator_reads_names_and_no_hosts(operator_client, history):
    for page in ("/", "/test-emails/"):
        text = operator_client.get(page).content.decode()
        assert "Main account" in text
        assert "smtp.example.com" not in text


def test_a_customer_sees_own_tests_and_no_shared_provider(customer, customer_client, history):
    history[0].server.people.add(customer)
    shown = customer_client.get("/").context
    assert shown["chart"].total == 6
    assert shown["providers"] == []
    for page in ("/", "/test-emails/", f"/test-emails/?provider={history[0].applied_id}"):
        text = customer_client.get(page).content.decode()
        assert "Main account" not in text
        assert "smtp.example.com" not in text
        assert history[1].server.name not in text
    assert count(customer_client, "/test-emails/") == 6


@pytest.mark.parametrize("query", ["day=2020-01-01", "day=x", "delivery=x", "provider=x", "day=%00"])
def test_what_was_not_offered_narrows_nothing(administrator_client, history, query):
    assert count(administrator_client, f"/test-emails/?{query}") == 18


def test_a_fleet_without_tests_is_told_how_to_begin(administrator_client):
    factories.GatewayFactory(working=True)
    assert "No test email was sent" in administrator_client.get("/").content.decode()
    assert administrator_client.get("/test-emails/").status_code == 200


def test_links_carry_nothing_but_the_filters_of_the_list(administrator_client, history):
    rows = administrator_client.get("/").context["providers"]
    keys = {key for row in rows for test in row["tests"] for key in parse_qs(urlsplit(test["url"]).query)}
    assert keys == {"provider", "delivery"}
