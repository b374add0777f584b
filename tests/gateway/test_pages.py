"""The pages of the email gateway: who sees what, and what never leaves the panel."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from gateway.models import Gateway, Smarthost
from servers.jobs.models import Job, Status
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, JobFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db

BLNS = Path(__file__).resolve().parents[3] / "shared" / "data" / "blns.json"
SECRET = "canary-default-password"
DEFAULT = {
    "name": "Canary provider",
    "host": "smtp.canary-default.example",
    "username": "canary-user@example.com",
    "sending_domain": "canary-domain.example",
}
OWN = {
    "provider": "own:generic",
    "host": "smtp.example.com",
    "port": "587",
    "tls": "",
    "verify_certificate": "on",
    "username": "relay",
    "password": "canary-typed-password",
    "sending_domain": "example.com",
}


@pytest.fixture
def server(customer):
    server = ServerFactory()
    server.people.add(customer)
    return server


@pytest.fixture
def default():
    return SmarthostFactory(default=True, password=Secret(SECRET), **DEFAULT)


@pytest.fixture
def clients(administrator_client, operator_client, viewer_client, customer_client, client):
    return {
        "administrator": administrator_client,
        "operator": operator_client,
        "viewer": viewer_client,
        "customer": customer_client,
        "nobody": client,
    }


def services(server, query: str = "") -> str:
    return reverse("servers:services", args=[server.pk]) + query


def page(name: str, server, *args) -> str:
    return reverse(f"gateway:{name}", args=[server.pk, *args])


# ── every page × every role ──────────────────────────────────────────────────────────────────────────────────────────

SETTINGS = {"administrator": 200, "operator": 404, "viewer": 404, "customer": 404, "nobody": 302}
RUNNERS = {"administrator": 302, "operator": 302, "viewer": 404, "customer": 302, "nobody": 302}
LOOKERS = {"administrator": 200, "operator": 200, "viewer": 200, "customer": 200, "nobody": 302}


@pytest.mark.parametrize("role", SETTINGS)
def test_settings_are_for_administrators(role, clients, default):
    for path in (
        reverse("smarthosts:list"),
        reverse("smarthosts:add"),
        reverse("smarthosts:add") + "?preset=ses",
        reverse("smarthosts:edit", args=[default.pk]),
        reverse("smarthosts:delete", args=[default.pk]),
        reverse("smarthosts:roll-out", args=[default.pk]),
    ):
        assert clients[role].get(path).status_code == SETTINGS[role], path
    for name in ("default", "delete"):
        answer = clients[role].post(reverse(f"smarthosts:{name}", args=[default.pk]))
        assert answer.status_code == (404 if SETTINGS[role] == 404 else 302)
    assert Smarthost.objects.filter(pk=default.pk).exists() == (role != "administrator")


@pytest.mark.parametrize("role", RUNNERS)
def test_actions_need_the_permission_to_run(role, clients, server):
    GatewayFactory(server=server, working=True, wanted=OwnSmarthostFactory(server=server))
    mail = {"sender": "a@example.com", "recipient": "b@example.com", "subject": "s", "body": "b"}
    for name, data in (("preview", OWN), ("test", mail), ("check", {}), ("install", OWN)):
        assert clients[role].post(page(name, server), data).status_code == RUNNERS[role], name
        assert clients[role].get(page(name, server)).status_code in (405, 404, 302), name
    assert clients[role].get(page("uninstall", server)).status_code == (
        RUNNERS[role] if role in ("viewer", "nobody") else 200
    )


@pytest.mark.parametrize("role", LOOKERS)
def test_results_are_seen_by_whoever_sees_the_server(role, clients, server):
    for name, action in (("previewed", "gateway.preview"), ("tested", "gateway.test")):
        job = JobFactory(server=server, action=action, mutating=False)
        assert clients[role].get(page(name, server, job.pk)).status_code == LOOKERS[role]
        other = JobFactory(server=server, action="gateway.check", mutating=False)
        assert clients[role].get(page(name, server, other.pk)).status_code in (404, 302)


def test_a_customer_reaches_no_foreign_server(customer_client):
    foreign = ServerFactory()
    for name in ("install", "preview", "test", "check", "uninstall"):
        assert customer_client.post(page(name, foreign), OWN).status_code == 404
    assert customer_client.get(page("uninstall", foreign)).status_code == 404


# ── defaults ─────────────────────────────────────────────────────────────────────────────────────────────────────────


# ── the form ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_install_saves_what_is_wanted_and_starts_one_job(operator_client, server):
    answer = operator_client.post(page("install", server), OWN)
    job = Job.objects.get()
    assert answer.url == reverse("jobs:job", args=[job.pk])
    assert (job.action, job.batch.options) == ("gateway.install", {})
    gateway = Gateway.objects.get(server=server)
    assert gateway.wanted.password == Secret("canary-typed-password")
    assert (gateway.applied, gateway.state, gateway.pending) == (None, "absent", True)


def test_a_second_click_makes_no_second_job(operator_client, server):
    operator_client.post(page("install", server), OWN)
    answer = operator_client.post(page("install", server), OWN, follow=True)
    assert Job.objects.count() == 1
    assert "already has a job" in answer.content.decode()


def test_a_refused_form_keeps_what_was_typed_except_secrets(operator_client, server):
    answer = operator_client.post(page("install", server), {**OWN, "port": "465", "tls": "starttls", "note": "my note"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "expects TLS from the first byte" in text
    assert "my note" in text
    assert "canary-typed-password" not in text
    assert not Gateway.objects.exists()
    assert not Smarthost.objects.exists()


def test_a_stored_password_is_shown_as_set_and_kept_when_blank(operator_client, server):
    operator_client.post(page("install", server), OWN)
    Job.objects.all().delete()
    text = operator_client.get(services(server)).content.decode()
    assert "canary-typed-password" not in text
    assert "Leave blank to keep it" in text
    operator_client.post(page("install", server), {**OWN, "password": "", "helo_name": "web.example.com"})
    assert Gateway.objects.get(server=server).wanted.password == Secret("canary-typed-password")


def test_a_preview_is_a_job_and_changes_nothing_that_is_wanted(operator_client, server):
    answer = operator_client.post(page("preview", server), OWN)
    job = Job.objects.get()
    assert (job.action, job.mutating) == ("gateway.preview", False)
    assert answer.url == page("previewed", server, job.pk)
    assert not Gateway.objects.exists()
    candidate = Smarthost.objects.get()
    assert job.batch.options["smarthost"] == str(candidate.pk)
    operator_client.post(page("install", server), {"candidate": candidate.pk})
    assert Gateway.objects.get(server=server).wanted == candidate


def test_a_candidate_of_another_server_is_not_found(operator_client, server):
    foreign = OwnSmarthostFactory()
    assert operator_client.post(page("install", server), {"candidate": foreign.pk}).status_code == 404


def test_a_preview_shows_steps_and_diff_as_text(operator_client, server):
    plan = {
        "steps": [{"slug": "maps", "title": "Write <maps>", "commands": ["install -m 600 •••• <b>"]}],
        "diffs": {"/etc/postfix/main.cf": "+relayhost = [smtp.example.com]:587\n-relayhost = <script>"},
        "notes": [],
        "restarts": False,
        "queued": 0,
    }
    job = JobFactory(server=server, action="gateway.preview", mutating=False, succeeded=True, result={"preview": plan})
    text = operator_client.get(page("previewed", server, job.pk)).content.decode()
    assert "Write &lt;maps&gt;" in text
    assert "relayhost = &lt;script&gt;" in text


def test_a_preview_of_a_shared_provider_hides_its_details(customer_client, server, default):
    job = JobFactory(
        server=server,
        action="gateway.preview",
        mutating=False,
        succeeded=True,
        result={"preview": {"steps": [], "diffs": {"main.cf": f"+relayhost = [{DEFAULT['host']}]:587"}}},
    )
    job.batch.options = {"smarthost": str(default.pk)}
    job.batch.save()
    assert DEFAULT["host"] not in customer_client.get(page("previewed", server, job.pk)).content.decode()


def test_consent_is_offered_only_after_the_refusal(operator_client, server):
    assert "replace_mta" not in operator_client.get(services(server)).content.decode()
    JobFactory(server=server, action="gateway.install", failed=True, cause="other-mta", outcome="exim4 is installed.")
    assert 'name="replace_mta"' in operator_client.get(services(server)).content.decode()
    operator_client.post(page("install", server), {**OWN, "replace_mta": "1"})
    assert Job.objects.get(status=Status.QUEUED).batch.options == {"replace_mta": True}


def test_uninstall_asks_first_and_names_the_queue(operator_client, server):
    GatewayFactory(server=server, working=True, queued=3)
    text = operator_client.get(page("uninstall", server)).content.decode()
    assert "3 messages" in text
    assert not Job.objects.exists()
    operator_client.post(page("uninstall", server), {"forget": "on"})
    assert Job.objects.get().batch.options == {"forget": True, "purge_queue": False}


@pytest.mark.parametrize("value", ["a\r\nBcc: x@example.com", "-oX@example.com", "a b@example.com", "é@example.com"])
def test_a_test_email_carries_no_smuggled_header(value, operator_client, server):
    GatewayFactory(server=server, working=True)
    mail = {"sender": "a@example.com", "recipient": "b@example.com", "subject": "s", "body": "b"}
    for field in ("sender", "recipient"):
        assert operator_client.post(page("test", server), {**mail, field: value}).status_code == 422
    assert operator_client.post(page("test", server), {**mail, "subject": "a\r\nBcc: x@example.com"}).status_code == 422
    assert not Job.objects.exists()


def test_a_test_result_explains_a_failure_in_three_lines(operator_client, server):
    GatewayFactory(server=server, working=True)
    result = {
        "queue_id": "4jWXDW0WpczFCWV",
        "delivery": "deferred",
        "reply": "535 5.7.8 <b>bad</b>",
        "relay": "smtp.example.com[192.0.2.1]:587",
        "explanation": {"cause": "The password is wrong.", "fix": "Type it again."},
    }
    JobFactory(server=server, action="gateway.test", mutating=False, failed=True, result=result)
    text = operator_client.get(services(server)).content.decode()
    for part in ("The password is wrong.", "535 5.7.8 &lt;b&gt;bad&lt;/b&gt;", "Type it again.", "4jWXDW0WpczFCWV"):
        assert part in text


@pytest.mark.skipif(not BLNS.exists(), reason="the shared test data is not beside this checkout")
@pytest.mark.parametrize("form", ["settings", "server"])
def test_hostile_text_in_every_field_is_refused_or_shown_as_text(form, administrator_client, server):
    fields = (
        *("name", "host", "port", "tls", "region", "username", "sending_domain", "helo_name"),
        "root_address",
        "note",
    )
    path = reverse("smarthosts:add") if form == "settings" else page("preview", server)
    for number, text in list(enumerate(json.loads(BLNS.read_text())))[::3]:
        field = fields[number % len(fields)]
        data = OWN | {"preset": "generic", "name": f"n{number}", field: text}
        answer = administrator_client.post(path, data)
        assert answer.status_code in (302, 422), (field, text)
        if answer.status_code == 422:
            shown = answer.content.decode()
            assert "canary-typed-password" not in shown
            assert "<script" not in text or text not in shown, (field, text)


def test_a_test_result_names_a_shared_provider_only_to_administrators(clients, server, default):
    GatewayFactory(server=server, wanted=default, working=True)
    reply = f"host {DEFAULT['host']}[192.0.2.1] said: 535 5.7.8 {DEFAULT['username']}: wrong"
    result = {"queue_id": "4jW", "delivery": "deferred", "reply": reply, "relay": f"{DEFAULT['host']}[192.0.2.1]:587"}
    job = JobFactory(server=server, action="gateway.test", mutating=False, failed=True, result=result)
    for role, knows in (("administrator", True), ("operator", False), ("customer", False), ("viewer", False)):
        for path in (services(server), page("tested", server, job.pk)):
            text = clients[role].get(path).content.decode()
            assert (DEFAULT["host"] in text) == knows, role
            assert "535 5.7.8" in text
