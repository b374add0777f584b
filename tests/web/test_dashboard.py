from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.models import Gateway
from servers.jobs import pauses
from servers.models import Server
from servers.standing import WORDS
from tests import factories

pytestmark = pytest.mark.django_db


def dashboard(client) -> dict:
    return client.get("/").context


def numbers(client) -> dict[str, int]:
    return {number["slug"]: number["value"] for number in dashboard(client)["numbers"]}


def listed(client, url: str) -> int:
    return client.get(url).context["listing"].page.paginator.count


@pytest.fixture
def fleet():
    broken = factories.GatewayFactory(state=Gateway.State.BROKEN, reason="535 wrong password", queued=7)
    working = factories.GatewayFactory(working=True, queued=2)
    refused = factories.ServerFactory(reach=Server.Reach.FAILED)
    return broken.server, working.server, refused


@pytest.fixture
def every_state(fleet):
    factories.GatewayFactory(state=Gateway.State.DRIFTED, reason="relayhost was changed")
    factories.GatewayFactory(state=Gateway.State.UNKNOWN)
    factories.GatewayFactory(working=True, in_doubt=True)
    for state in Gateway.State:
        row = factories.GatewayFactory(state=state)
        factories.JobFactory(server=row.server, action="gateway.check", mutating=False, running=True)
    factories.GatewayFactory(working=True, server=factories.ServerFactory(archived=True))


def test_the_numbers_agree_with_the_lists_behind_them(administrator_client, every_state):
    shown = dashboard(administrator_client)
    for number in shown["numbers"]:
        assert listed(administrator_client, number["url"]) == number["value"], number["slug"]
    assert {n["slug"]: n["value"] for n in shown["numbers"]} == {
        "working": 1,
        "failing": 1,
        "drifted": 1,
        "absent": 1,
        "unknown": 2,
        "checking": 5,
    }
    assert listed(administrator_client, shown["needing_url"]) == shown["needing_count"] == 3
    assert listed(administrator_client, shown["waiting_url"]) == shown["waiting_count"] == 2
    assert shown["counts"]["queued"] == 9


def test_the_condition_in_sql_and_the_state_of_a_row_are_one_answer(administrator_client, every_state):
    from gateway import gateways

    servers = list(Server.objects.live())
    states = gateways.states(servers)
    for word in WORDS:
        found = set(Server.objects.live().filter(gateways.in_state(word)).values_list("pk", flat=True))
        assert found == {pk for pk, state in states.items() if state.word == word}, word


def test_whatever_needs_somebody_names_the_reason_and_a_button(administrator_client, fleet):
    needing = dashboard(administrator_client)["needing"]
    assert [line["server"] for line in needing] == [fleet[2], fleet[0]]
    assert all(line["reason"] and line["fix"] and line["url"] for line in needing)
    assert "535 wrong password" in administrator_client.get("/").content.decode()


def test_the_first_that_need_somebody_are_shown_and_the_rest_counted(administrator_client):
    for _ in range(11):
        factories.GatewayFactory(state=Gateway.State.BROKEN)
    factories.ServerFactory(name="zzz", reach=Server.Reach.KEY_CHANGED)
    shown = dashboard(administrator_client)
    assert len(shown["needing"]) == 8
    assert shown["needing"][0]["server"].name == "zzz"
    assert shown["needing_more"] == 4
    assert "4 more" in administrator_client.get("/").content.decode()


def test_a_customer_sees_only_own_servers_and_no_names(customer, customer_client, administrator, fleet):
    factories.JobFactory(batch__asked_by=administrator, server=fleet[1])
    fleet[1].people.add(customer)
    page = customer_client.get("/").content.decode()
    assert fleet[1].name in page
    for secret in (fleet[0].name, administrator.name, administrator.email, Gateway.objects.first().wanted.name):
        assert secret not in page
    assert numbers(customer_client) == {
        "working": 1,
        "failing": 0,
        "drifted": 0,
        "absent": 0,
        "unknown": 0,
        "checking": 0,
    }
    assert dashboard(customer_client)["counts"]["queued"] == 2
    assert dashboard(customer_client)["providers"] == []


def test_a_customer_does_not_read_a_shared_providers_host_in_a_reason(customer, customer_client):
    gateway = factories.GatewayFactory(state=Gateway.State.BROKEN, reason="smtp.example.com refused the password")
    gateway.server.people.add(customer)
    assert "smtp.example.com" not in customer_client.get("/").content.decode()


def test_a_batch_that_runs_tells_how_far_it_is(administrator_client, administrator):
    batch = factories.BatchFactory(asked_by=administrator)
    for kind in ({"succeeded": True}, {"failed": True}, {"failed": True, "cause": "connect-timeout"}, {}):
        factories.JobFactory(batch=batch, rank=1, **kind)
    shown = dashboard(administrator_client)
    (line,) = shown["going"]
    assert (line["finished"], line["total"], line["state"]) == (3, 4, "running")
    assert shown["jobs"] == []
    text = administrator_client.get("/").content.decode()
    assert "3 of 4" in text
    assert f"/jobs/batches/{batch.pk}/" in text


def test_of_a_batch_a_customer_sees_his_part(customer, customer_client):
    batch = factories.BatchFactory()
    mine, _ = factories.JobFactory(batch=batch, rank=1), factories.JobFactory(batch=batch, rank=1, succeeded=True)
    mine.server.people.add(customer)
    (line,) = dashboard(customer_client)["going"]
    assert (line["finished"], line["total"]) == (0, 1)


def test_a_scheduled_batch_says_when_it_begins(administrator_client):
    batch = factories.BatchFactory(starts_at=timezone.now() + timedelta(hours=3, minutes=5))
    factories.JobFactory(batch=batch, rank=1, released_at=None)
    assert dashboard(administrator_client)["going"][0]["starts_at"]
    assert "in 3 h" in administrator_client.get("/").content.decode()


def test_what_was_asked_last_is_one_line_an_asking(administrator_client):
    batch = factories.BatchFactory()
    for _ in range(20):
        factories.JobFactory(batch=batch, rank=1, succeeded=True)
    alone = factories.JobFactory(failed=True)
    last = dashboard(administrator_client)["jobs"]
    assert [line["pk"] for line in last] == [alone.batch_id, batch.pk]
    assert last[0]["job"] == alone
    assert (last[1]["total"], last[1]["state"]) == (20, "done")


def test_a_pause_is_told_to_everybody_and_by_whom_to_some(administrator, administrator_client, customer, fleet):
    from tests.conftest import _signed_in

    fleet[0].people.add(customer)
    assert "Paused" not in administrator_client.get("/").content.decode()
    pauses.pause(by=administrator, reason="The provider is being moved.")
    assert "by you" in administrator_client.get("/").content.decode()
    text = _signed_in(customer).get("/").content.decode()
    assert "Paused" in text
    assert administrator.name not in text


def test_an_empty_panel_shows_the_way_to_the_first_email(administrator_client, customer_client):
    steps = dashboard(administrator_client)["steps"]
    assert [step["next"] for step in steps] == [True, False, False, False]
    factories.SmarthostFactory()
    assert [step["next"] for step in dashboard(administrator_client)["steps"]] == [False, True, False, False]
    assert dashboard(customer_client)["steps"] == []


def test_the_way_disappears_once_a_gateway_works(administrator_client, fleet):
    assert dashboard(administrator_client)["steps"] == []


def test_archived_servers_are_not_counted(administrator_client, fleet):
    factories.ServerFactory()
    Server.objects.exclude(reach=Server.Reach.UNKNOWN).update(archived_at="2026-01-01T00:00Z")
    assert dashboard(administrator_client)["needing_count"] == 1


def test_a_refresh_leaves_the_history_alone(administrator_client, fleet):
    answer = administrator_client.get("/?part=now", headers={"HX-Request": "true"})
    assert "chart" not in answer.context
    assert 'id="live"' in answer.content.decode()


def test_a_job_kept_for_tonight_leaves_the_state_as_it_is(administrator_client, fleet):
    job = factories.JobFactory(server=fleet[1], action="gateway.install", released_at=None)
    assert numbers(administrator_client)["working"] == 1
    assert listed(administrator_client, "/servers/?state=checking") == 0
    job.released_at = timezone.now()
    job.save()
    assert numbers(administrator_client) | {"working": 0, "checking": 1} == numbers(administrator_client)
