"""Twelve real servers, four kinds of block, one matrix: each gets its own cause, and only the blocked ones a fix."""

from contextlib import ExitStack
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from gateway import diagnosing, gateways, smarthosts
from gateway.diagnosis.fleet import BY_CLOUD
from gateway.models import Gateway
from servers.jobs.models import Job, Status
from servers.jobs.runner import run_here
from servers.models import Server
from tests.gateway.test_main_job import account, enrol, run, values  # noqa: F401 - account is a fixture

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]
PORTS = (25, 465, 587)
FINE = ""


def droplet(real) -> None:
    for port in PORTS:
        real.drop(port, direction="out")


# name -> (cloud, what is done to it, the cause it must get)
DOZEN = {
    "droplet-1": ("digitalocean", droplet, BY_CLOUD),
    "droplet-2": ("digitalocean", droplet, BY_CLOUD),
    "droplet-3": ("digitalocean", droplet, BY_CLOUD),
    "drop-1": ("", lambda real: real.drop(587, "out"), "port-blocked-other-open"),
    "reset-1": ("", lambda real: real.reject(587, "out"), "connection-refused"),
    "reset-2": ("", lambda real: real.reject(587, "out"), "connection-refused"),
    "icmp-1": ("", lambda real: real.reject(587, "out", "icmp-host-prohibited"), "port-forbidden"),
    "icmp-2": ("", lambda real: real.reject(587, "out", "icmp-admin-prohibited"), "port-forbidden"),
    "proxy-1": ("", lambda real: real.intercept(587, "filter.isp.example"), "smtp-intercepted"),
    "proxy-2": ("", lambda real: real.intercept(587, real.fqdn), "smtp-intercepted"),
    "fine-1": ("", lambda real: None, FINE),
    "fine-2": ("hetzner", lambda real: None, FINE),
}


@pytest.fixture
def dozen(pool, account, administrator, monkeypatch):  # noqa: F811
    """{name: Server}, each wanting the real provider on 587, blocked as DOZEN says."""
    monkeypatch.setattr(diagnosing, "PATIENCE", 4)
    new = values(account)
    shared = smarthosts.create("Main", new, by=administrator)
    with ExitStack() as lent:
        servers = {}
        for name, (cloud, block, _) in DOZEN.items():
            real = lent.enter_context(pool.lend("debian12"))
            server = enrol(real)
            Server.objects.filter(pk=server.pk).update(name=name, cloud=cloud)
            servers[name] = Server.objects.get(pk=server.pk)
            block(real)
        gateways.want(dict.fromkeys(servers.values(), shared), by=administrator)
        yield servers


def test_each_block_gets_its_cause_and_the_matrix_says_so(dozen, administrator_client, account):  # noqa: F811
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("gateway", "diagnose", *dozen, "--here", stdout=said, stderr=StringIO())
    jobs = {job.server.name: job for job in Job.objects.filter(action="gateway.diagnose").select_related("server")}
    told = {name: job.cause for name, job in jobs.items()}
    assert told == {name: cause for name, (_, _, cause) in DOZEN.items()}, {n: j.outcome for n, j in jobs.items()}
    assert {name for name, job in jobs.items() if job.status == Status.SUCCEEDED} == {"fine-1", "fine-2"}
    instead = {name: job.result["tried"]["instead"] for name, job in jobs.items()}
    assert instead == {name: [2525, "starttls"] if cause else None for name, (_, _, cause) in DOZEN.items()}
    assert "blocks outgoing 25, 465 and 587" in jobs["droplet-1"].outcome
    assert "filter.isp.example" in jobs["proxy-1"].outcome and "No route to host" in jobs["icmp-1"].outcome
    assert not account.ledger()

    droplets = (
        "On DigitalOcean 587 is silent on 3 of 3 servers and 2525 is open: "
        "DigitalOcean blocks outgoing 25, 465 and 587 on all Droplets by default."
    )
    unknown = (
        "Where the network is unknown, 587 is forbidden on 2 of 8 servers, answered by somebody else on 2, refused on "
        "2 and silent on 1, and 2525 is open."
    )
    fine = "On Hetzner Cloud nothing stands in the way on 1 of 1 server."
    assert all(words in said.getvalue() for words in (droplets, unknown, fine)), said.getvalue()
    answer = administrator_client.get(reverse("jobs:batch", args=[jobs["fine-1"].batch_id]))
    page = answer.content.decode()
    groups = answer.context["together"]
    assert all(words in page for words in (droplets, unknown, fine))
    assert [group["label"] for group in groups] == ["DigitalOcean", "Hetzner Cloud", "Unknown network"]
    offered = {group["label"]: group["offers"] for group in groups}
    assert not offered["Hetzner Cloud"]
    (offer,) = offered["DigitalOcean"]
    helped = {name for name in dozen if str(dozen[name].pk) in offer["servers"]}
    assert helped == {"droplet-1", "droplet-2", "droplet-3"}

    # What is proposed is true: from a blocked server the same account signs in on that port.
    row = smarthosts.own(dozen["droplet-1"], values(account, port=2525), by=None)
    assert run("diagnose", dozen["droplet-1"], None, smarthost=str(row.pk)).status == Status.SUCCEEDED
    posted = {"servers": ",".join(offer["servers"]), "port": 2525, "tls": "starttls", "password": ""}
    form = administrator_client.post(offer["url"], posted)
    administrator_client.post(offer["url"], form.context["carried"] | posted | {"confirm": "1"})
    moved = Gateway.objects.filter(wanted__port=2525).values_list("server__name", flat=True)
    assert set(moved) == helped
    # Nothing was typed: the stored password went along, and the provider takes it there.
    installed = run_here(Job.objects.get(action="gateway.install", server=dozen["droplet-2"]))
    assert installed.status == Status.SUCCEEDED, (installed.outcome, installed.result)
    assert Gateway.objects.get(server=dozen["droplet-2"]).applied.port == 2525


def test_the_wrong_way_to_begin_tls_is_told_with_the_right_one(server, account, administrator, monkeypatch):  # noqa: F811
    monkeypatch.setattr(diagnosing, "PATIENCE", 4)
    enrolled = enrol(server)
    server.shift(10465, to=465)
    server.shift(10587, to=587)
    for port, tls, cause, right in (
        (10465, "starttls", "greeting-timed-out", "implicit"),
        (10587, "implicit", "tls-on-plain-port", "starttls"),
    ):
        row = smarthosts.own(enrolled, values(account, port=port, tls=tls), by=administrator)
        job = run("diagnose", enrolled, administrator, smarthost=str(row.pk))
        assert (job.status, job.cause) == (Status.FAILED, cause), (job.outcome, job.result)
        assert job.result["tried"]["instead"] == [port, right]
        row = smarthosts.own(enrolled, values(account, port=port, tls=right), by=administrator)
        assert run("diagnose", enrolled, administrator, smarthost=str(row.pk)).status == Status.SUCCEEDED
