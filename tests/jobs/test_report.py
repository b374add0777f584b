"""What is downloaded of a batch."""

import csv
import io
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from servers.jobs import report
from tests.factories import BatchFactory, GatewayFactory, JobFactory, ServerFactory, SmarthostFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toys", "rings")]


def rows(client, batch):
    answer = client.get(reverse("jobs:batch-csv", args=[batch.pk]))
    assert answer.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def told(client, batch):
    return json.loads(client.get(reverse("jobs:batch-json", args=[batch.pk])).content)


def test_both_forms_hold_every_server_and_how_it_ended(operator_client):
    batch = BatchFactory(canary=1)
    JobFactory(batch=batch, succeeded=True, server__name="alpha")
    JobFactory(batch=batch, failed=True, cause="connect-timeout", server__name="beta")
    JobFactory(batch=batch, server__name="gamma")
    assert [(row["server"], row["state"]) for row in rows(operator_client, batch)] == [
        ("alpha", "succeeded-changed"),
        ("beta", "unreachable"),
        ("gamma", "queued"),
    ]
    found = told(operator_client, batch)
    assert found["counts"]["unreachable"] == 1
    assert found["policy"] == "First server, then the rest if all succeed."
    alpha = found["servers"][0]
    assert (alpha["server"], alpha["changed"], alpha["outcome"]) == ("alpha", True, "Set.")
    assert set(report.FIXED) <= set(alpha)


def test_a_test_brings_its_columns(operator_client):
    batch = BatchFactory(action="gateway.test")
    sent = {"delivery": "sent", "reply": "250 ok", "seconds": 1.5}
    JobFactory(batch=batch, action="gateway.test", mutating=False, succeeded=True, result=sent)
    assert rows(operator_client, batch)[0].items() >= {"delivery": "sent", "reply": "250 ok"}.items()
    server = told(operator_client, batch)["servers"][0]
    assert (server["delivery"], server["reply"], server["test_seconds"]) == ("sent", "250 ok", 1.5)


def test_no_cell_is_a_formula(operator_client):
    batch = BatchFactory()
    JobFactory(batch=batch, failed=True, outcome='=HYPERLINK("https://example.com")')
    assert rows(operator_client, batch)[0]["outcome"].startswith("'=")


def test_it_holds_what_one_may_see_and_read(customer_client, administrator_client):
    batch = BatchFactory(action="gateway.install")
    server = ServerFactory(name="mine", people=[customer_client.user])
    GatewayFactory(server=server, wanted=SmarthostFactory(host="canary-host.example.net"))
    said = "Sign-in at canary-host.example.net failed."
    JobFactory(batch=batch, action="gateway.install", server=server, failed=True, outcome=said)
    JobFactory(batch=batch, action="gateway.install", failed=True, server__name="theirs")
    assert [row["server"] for row in rows(customer_client, batch)] == ["mine"]
    for name in ("batch-csv", "batch-json"):
        url = reverse(f"jobs:{name}", args=[batch.pk])
        assert b"canary-host" not in customer_client.get(url).content
        assert b"theirs" not in customer_client.get(url).content
        assert b"canary-host" in administrator_client.get(url).content
    server.people.clear()
    assert customer_client.get(reverse("jobs:batch-csv", args=[batch.pk])).status_code == 404


def test_many_rows_cost_as_many_queries_as_few(operator_client):
    batch = BatchFactory()
    costs = []
    for _ in range(2):
        for _ in range(10):
            JobFactory(batch=batch, succeeded=True)
        rows(operator_client, batch)
        with CaptureQueriesContext(connection) as queries:
            rows(operator_client, batch)
        costs.append(len(queries))
    assert costs[0] == costs[1]
