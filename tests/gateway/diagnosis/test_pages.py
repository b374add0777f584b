"""The pages, the command and the list's action: who asks, who reads what, which port is put into which form."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from gateway import bulk, mending
from gateway.management import words
from gateway.models import Smarthost
from servers.jobs.models import Job, Status
from servers.models import Server
from tests.factories import GatewayFactory, JobFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
HOST = "smtp.canary-shared.example"


def result(host: str = HOST) -> dict:
    stages = [{"name": "tcp", "title": "Connection", "state": "fail", "text": f"connect to {host}:587", "ms": 3}]
    row = {"port": 587, "chosen": True, "ipv4": "silent", "ipv6": "", "answer": "Connection timed out"}
    return {
        "evidence": f"connect to {host}:587: Connection timed out",
        "port_587": "silent",
        "explanation": {"slug": "port-blocked-other-open", "cause": "", "fix": "", "area": "port"},
        "diagnosis": {
            "host": host,
            "port": 587,
            "tls": "starttls",
            "way": "",
            "stages": stages,
            "ports": [row | {"greeting": "", "ms": None}],
            "transcript": [f"S: 220 {host} <script>", "C: EHLO web1", "S: 535 5.7.8 no", "S: 454 later"],
            "notes": [],
            "instead": {"port": 2525, "tls": "starttls", "label": "Use port 2525 with STARTTLS"},
        },
    }


def diagnosed(server: Server, smarthost: Smarthost) -> str:
    outcome = f"Port 587 of {smarthost.host} is dropped."
    job = JobFactory(
        server=server,
        action="gateway.diagnose",
        status=Status.FAILED,
        outcome=outcome,
        hint="Use 2525.",
        result=result(smarthost.host),
        mutating=False,
    )
    job.batch.options = {"smarthost": str(smarthost.pk)}
    job.batch.save()
    return reverse("gateway:diagnosed", args=[server.pk, job.pk])


def test_the_form_is_diagnosed_before_anything_is_installed(client, operator):
    client.force_login(operator)
    server = ServerFactory()
    typed = {
        "provider": "own:generic",
        "host": "smtp.example.com",
        "port": "587",
        "tls": "",
        "username": "relay",
        "password": "canary-typed",
        "verify_certificate": "on",
        "sending_domain": "example.com",
    }
    answer = client.post(reverse("gateway:diagnose", args=[server.pk]), typed)
    job = Job.objects.get()
    assert (answer.status_code, job.action, job.mutating) == (302, "gateway.diagnose", False)
    assert answer.url == reverse("gateway:diagnosed", args=[server.pk, job.pk])
    assert "canary-typed" not in json.dumps(job.batch.options)
    assert client.post(reverse("gateway:diagnose", args=[server.pk]), typed | {"host": ""}).status_code == 422


def test_a_viewer_reads_and_does_not_ask(client, viewer):
    client.force_login(viewer)
    server = ServerFactory()
    assert client.post(reverse("gateway:diagnose", args=[server.pk])).status_code == 404
    assert client.get(diagnosed(server, OwnSmarthostFactory(server=server))).status_code == 200


def test_own_values_get_the_form_with_the_port_filled_in(client, operator):
    client.force_login(operator)
    server = ServerFactory()
    own = OwnSmarthostFactory(server=server)
    GatewayFactory(server=server, wanted=own)
    page = client.get(diagnosed(server, own)).content.decode()
    assert "Use port 2525 with STARTTLS" in page and "&lt;script&gt;" in page and "said-no" in page
    there = f"{reverse('servers:services', args=[server.pk])}?provider=own:{own.preset}&port=2525&tls=starttls"
    assert there.replace("&", "&amp;").replace("own:", "own%3A") in page
    form = client.get(there).content.decode()
    assert 'value="2525"' in form


def test_a_shared_provider_is_mended_by_administrators_and_not_shown_to_others(client, administrator, operator):
    server, shared = ServerFactory(), SmarthostFactory(host=HOST)
    GatewayFactory(server=server, wanted=shared)
    there = diagnosed(server, shared)
    client.force_login(operator)
    page = client.get(there).content.decode()
    assert HOST not in page and "by your administrator" in page and "transcript" not in page
    client.force_login(administrator)
    edit = f"{reverse('smarthosts:edit', args=[shared.pk])}?port=2525&amp;tls=starttls"
    assert edit in client.get(there).content.decode()


def test_a_batch_leads_to_the_form_with_the_port_filled_in(administrator, operator):
    server, shared = ServerFactory(), SmarthostFactory(host=HOST)
    GatewayFactory(server=server, wanted=shared)
    diagnosed(server, shared)
    job = Job.objects.get()
    label, there = mending.mends(administrator, [job])[job.pk]
    assert label == "Use port 2525 with STARTTLS" and there.endswith(f"{shared.pk}/?port=2525&tls=starttls")
    assert "2525" not in str(mending.mends(operator, [job])[job.pk])


def test_the_card_shows_the_last_diagnosis(client, operator):
    client.force_login(operator)
    server = ServerFactory()
    own = OwnSmarthostFactory(server=server)
    there = diagnosed(server, own)
    assert there in client.get(reverse("servers:services", args=[server.pk])).content.decode()


def test_servers_without_values_are_left_out(operator, administrator):
    wanted, bare = ServerFactory(), ServerFactory()
    GatewayFactory(server=wanted, wanted=SmarthostFactory())
    form = bulk.DiagnoseForm({}, viewer=administrator)
    assert form.is_valid()
    assert set(form.excluded(Server.objects.filter(pk__in=[wanted.pk, bare.pk]))) == {bare.pk}
    assert form.ask(Server.objects.filter(pk=wanted.pk), by=administrator).batch.action == "gateway.diagnose"


def test_the_command_asks_for_a_job():
    server = ServerFactory()
    GatewayFactory(server=server, wanted=SmarthostFactory())
    out = StringIO()
    call_command("gateway", "diagnose", server.name, "--json", stdout=out)
    assert Job.objects.get().action == "gateway.diagnose" and json.loads(out.getvalue())


def test_the_command_prints_what_stands_in_the_way():
    server = ServerFactory(name="web-9")
    diagnosed(server, OwnSmarthostFactory(server=server, host=HOST))
    out = StringIO()
    words.print_diagnoses(Job.objects.get().batch, out)
    assert f"web-9: Port 587 of {HOST} is dropped." in out.getvalue()
    assert "Use 2525." in out.getvalue() and "port 587: silent, Connection timed out" in out.getvalue()
