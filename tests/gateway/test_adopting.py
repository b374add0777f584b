"""Keeping what somebody changed in main.cf: what may stay, who may ask, and what is shown, recorded and undone."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from controlpanel.access.models import AuditEntry
from gateway import adopting, drift, keeping
from gateway.models import Gateway
from servers.jobs.launch import Busy
from servers.jobs.models import Job
from tests.factories import GatewayFactory, JobFactory
from tests.gateway.test_commands import run

pytestmark = pytest.mark.django_db
GOLDEN = json.loads((Path(__file__).parent / "golden/adopting.json").read_text())
CHANGES = {
    "smtp_tls_loglevel": ["2", "1"],
    "biff": [None, "no"],
    "relayhost": ["[canary.example]:587", "[a.example]:25"],
}


def drifted(changes: dict = CHANGES, **more) -> Gateway:
    return GatewayFactory(working=True, state=Gateway.State.DRIFTED, diffs={drift.CHANGES: changes}, **more)


def again(gateway: Gateway) -> Gateway:
    return Gateway.objects.get(pk=gateway.pk)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['name']}={case['there']}")
def test_what_may_stay(case):
    (found,) = adopting.differences({case["name"]: [case["there"], case["ours"]]})
    assert (found.may_stay, case["why"] in found.refusal) == (case["may_stay"], True)
    assert bool(found.instead) != found.may_stay and found.in_form == ("the form" in found.instead)


@pytest.mark.parametrize(
    ("relayhost", "way"),
    [
        ("[smtp.example.com]:587", {"host": "smtp.example.com", "port": "587"}),
        ("smtp.example.com", {"host": "smtp.example.com"}),
        ("[ipv6:2001:db8::1]:25", {"host": "2001:db8::1", "port": "25"}),
        ("$mydomain", {}),
        ("", {}),
        (None, {}),
    ],
)
def test_a_relayhost_fills_in_the_form_as_far_as_it_can_be_read(relayhost, way):
    assert adopting.way(relayhost) == way


def test_keeping_changes_the_row_asks_for_a_check_and_is_in_the_audit_log():
    gateway = drifted(kept={"mynetworks": "10.0.0.0/8"})
    keeping.adopt(gateway.server, ["biff", "smtp_tls_loglevel"], shown=keeping.digest(CHANGES), by="command line")
    assert again(gateway).kept == {"mynetworks": "10.0.0.0/8", "smtp_tls_loglevel": "2", "biff": None}
    assert [job.action for job in Job.objects.all()] == ["gateway.check"]
    entry = AuditEntry.objects.get(verb="kept values of the server")
    assert entry.detail["values"] == {"smtp_tls_loglevel": "2", "biff": None}


def test_only_what_was_shown_is_kept():
    gateway = drifted()
    shown = keeping.digest(CHANGES)
    for changes in ({**CHANGES, "biff": ["yes", "no"]}, {"biff": [None, "no"]}, {}):
        Gateway.objects.filter(pk=gateway.pk).update(diffs={drift.CHANGES: changes})
        with pytest.raises(adopting.Unknown):
            keeping.adopt(gateway.server, ["biff"], shown=shown, by=None)
    assert again(gateway).kept == {} and not Job.objects.exists()


@pytest.mark.parametrize(
    ("names", "error"),
    [([], adopting.Unknown), (["mydomain"], adopting.Unknown), (["biff", "relayhost"], adopting.Refused)],
)
def test_all_is_kept_or_nothing(names, error):
    gateway = drifted()
    with pytest.raises(error):
        keeping.adopt(gateway.server, names, shown=keeping.digest(CHANGES), by=None)
    assert again(gateway).kept == {}


def test_while_a_job_changes_the_server_nothing_is_kept_or_let_go():
    gateway = drifted(kept={"biff": "yes"})
    JobFactory(server=gateway.server, action="gateway.reinstall")
    with pytest.raises(Busy):
        keeping.adopt(gateway.server, ["biff"], shown=keeping.digest(CHANGES), by=None)
    with pytest.raises(Busy):
        keeping.stop(gateway.server, ["biff"], by=None)


def test_a_look_under_way_is_not_believed_after_it():
    gateway = drifted()
    lease = gateway.look_due_at
    keeping.adopt(gateway.server, ["biff"], shown=keeping.digest(CHANGES), by=None)
    assert again(gateway).look_due_at != lease


def test_keeping_can_be_ended():
    gateway = drifted(kept={"biff": "yes", "mynetworks": None})
    keeping.stop(gateway.server, ["biff"], by=None)
    assert again(gateway).kept == {"mynetworks": None}
    assert AuditEntry.objects.get(verb="stopped keeping values of the server").detail["values"] == {"biff": "yes"}
    with pytest.raises(adopting.Unknown):
        keeping.stop(gateway.server, ["biff"], by=None)


def test_the_page_offers_to_keep_what_may_stay_and_leads_to_the_form_for_the_rest(administrator_client, viewer_client):
    gateway = drifted()
    page = reverse("gateway:drift", args=[gateway.server_id])
    text = administrator_client.get(page).content.decode()
    assert text.count("Keep the server's value</button>") == 2 and "Keep 2 values of the server" in text
    assert "provider=own%3Ageneric&amp;host=canary.example&amp;port=587#gateway" in text
    assert "Keep the server's value</button>" not in viewer_client.get(page).content.decode()
    form = administrator_client.get(f"/servers/{gateway.server_id}/services/?provider=own:generic&host=canary.example")
    assert 'value="canary.example"' in form.content.decode()


def test_the_page_keeps_and_ends_keeping(operator_client, viewer_client):
    gateway = drifted()
    adopt, stop = (reverse(f"gateway:{verb}", args=[gateway.server_id]) for verb in ("adopt", "stop-keeping"))
    data = {"parameter": ["biff"], "shown": keeping.digest(CHANGES)}
    assert viewer_client.post(adopt, data).status_code in (403, 404)
    operator_client.post(adopt, data | {"shown": "another"})
    assert again(gateway).kept == {}
    operator_client.post(adopt, data)
    assert again(gateway).kept == {"biff": None}
    assert (
        "Kept as the server has it"
        in operator_client.get(reverse("gateway:drift", args=[gateway.server_id])).content.decode()
    )
    services = reverse("servers:services", args=[gateway.server_id])
    assert stop in operator_client.get(services).content.decode()
    operator_client.post(stop, {"parameter": "biff"})
    assert again(gateway).kept == {}


def test_values_that_may_name_a_shared_provider_stay_with_administrators(operator_client):
    gateway = drifted()
    text = operator_client.get(reverse("gateway:drift", args=[gateway.server_id])).content.decode()
    assert "canary.example" not in text and "a.example" not in text
    assert "smtp_tls_loglevel" in text and "relayhost" in text


@pytest.mark.django_db(transaction=True)
def test_the_command_shows_keeps_and_lets_go():
    gateway = drifted()
    name = gateway.server.name
    code, printed = run("gateway", "drift", name)
    assert 'smtp_tls_loglevel: "2" there, ours "1"; can be kept' in printed
    assert "biff: not set there" in printed and "cannot be kept: It decides where all mail goes" in printed
    assert json.loads(run("gateway", "drift", name, "--json")[1])["servers"][0]["differences"][0]["keep"] is True
    assert run("gateway", "adopt", name)[0] == 2
    assert run("gateway", "adopt", name, "relayhost")[0] == 2
    assert run("gateway", "adopt", name, "--every")[0] == 0
    assert again(gateway).kept == {"smtp_tls_loglevel": "2", "biff": None}
    assert run("gateway", "adopt", name, "biff", "--stop")[0] == 0
    assert again(gateway).kept == {"smtp_tls_loglevel": "2"}
