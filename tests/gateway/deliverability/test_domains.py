"""Sending domains in the panel: collected, checked under a lease, kept when something changed."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from gateway.deliverability import domains, tasks
from gateway.deliverability.findings import Finding, Publish, Report
from gateway.deliverability.models import DnsCheck, Domain
from servers.management import console
from tests.factories import OwnSmarthostFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
GOOD = Report("example.com", (Finding("spf", "ok", "present", "One SPF record.", "v=spf1 ~all"),))
BAD = Report(
    "example.com",
    (Finding("spf", "fail", "missing", "example.com has no SPF record.", "", "Publish it."),),
    (Publish("example.com", "@", "TXT", "v=spf1 <b>&~all", "The one SPF record."),),
    {"term": "example.com", "record": "", "total": 0, "void": False, "problem": "", "children": []},
)
UNREAD = Report("example.com", (Finding("spf", "unknown", "unknown", "The SPF record could not be read."),))


@pytest.fixture
def domain():
    SmarthostFactory(sending_domain="example.com", preset="gmail")
    domains.collect()
    return Domain.objects.get(name="example.com")


def checked(domain, report):
    assert domains.check_one(domain.pk, lambda *_, **__: report)
    domain.refresh_from_db()
    return domain


def test_domains_come_from_accounts_each_once(domain):
    SmarthostFactory(sending_domain="example.com", preset="sendgrid")
    domains.collect()
    assert [row.name for row in Domain.objects.all()] == ["example.com"]
    assert len(domains.senders("example.com")) == 2


def test_a_check_is_kept_only_when_something_changed(domain):
    for report in (GOOD, GOOD, BAD, BAD, GOOD):
        checked(domain, report)
    assert [row.changes for row in DnsCheck.objects.order_by("pk")] == [
        ["First check."],
        ["Now: example.com has no SPF record.", "No longer: One SPF record."],
        ["Now: One SPF record.", "No longer: example.com has no SPF record."],
    ]


def test_an_answer_that_did_not_come_is_no_change(domain):
    for report in (GOOD, UNREAD, GOOD):
        checked(domain, report)
    assert DnsCheck.objects.count() == 1
    checked(domain, UNREAD)
    assert domain.state == "unknown"


def test_one_worker_at_a_time_and_a_dead_one_is_followed(domain):
    Domain.objects.update(leased_until=timezone.now() + timedelta(seconds=60))
    assert not domains.check_one(domain.pk, lambda *_, **__: GOOD)
    Domain.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert domains.check_one(domain.pk, lambda *_, **__: GOOD)


def test_due_are_the_old_and_those_whose_ring_was_lost(domain):
    now = timezone.now()
    assert domains.due(now) == [domain.pk]
    checked(domain, GOOD)
    assert domains.due(timezone.now()) == []
    assert domains.due(timezone.now() + domains.EVERY + timedelta(seconds=1)) == [domain.pk]
    Domain.objects.update(asked_at=timezone.now() + timedelta(seconds=1))
    assert domains.due(timezone.now() + timedelta(seconds=40)) == [domain.pk]


def test_asking_twice_rings_once(domain, django_capture_on_commit_callbacks):
    rung = []
    with django_capture_on_commit_callbacks(execute=True):
        domains.ask([domain], rung.append)
        domains.ask([domain], rung.append)
    assert rung == [domain.pk]


@pytest.mark.parametrize("name", ["", "localhost", "192.0.2.1", "a b.com", "-x.com", "x" * 254])
def test_what_is_no_domain_is_refused(name, administrator):
    with pytest.raises(ValidationError):
        domains.add(name, by=administrator)


def test_adding_and_selectors_are_in_the_audit_log(administrator):
    added = domains.add("Example.ORG.", by=administrator)
    domains.set_selectors(added, "20260101pm._domainkey, k2", by=administrator)
    added.refresh_from_db()
    assert (added.name, added.selectors) == ("example.org", "20260101pm k2")
    assert {"domain.add", "domain.selectors"} <= set(AuditEntry.objects.values_list("verb", flat=True))
    with pytest.raises(ValidationError):
        domains.read_selectors("a;b")


@pytest.fixture
def rung(monkeypatch):
    rings = []
    monkeypatch.setattr(tasks.check, "delay", rings.append)
    return rings


def test_the_pages_say_what_to_publish(client, administrator, domain, rung, django_capture_on_commit_callbacks):
    client.force_login(administrator)
    checked(domain, BAD)
    listed = client.get(reverse("domains:list")).content.decode()
    assert "example.com has no SPF record." in listed
    shown = client.get(reverse("domains:domain", args=["example.com"])).content.decode()
    assert "v=spf1 &lt;b&gt;&amp;~all" in shown and "Publish it." in shown
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(reverse("domains:check", args=["example.com"])).status_code == 302
    assert rung == [domain.pk]
    assert "every 2s" in client.get(reverse("domains:domain", args=["example.com"])).content.decode()


def test_adding_and_removing_by_page(client, administrator, rung):
    client.force_login(administrator)
    refused = client.post(reverse("domains:add"), {"name": "nonsense"})
    assert refused.status_code == 422 and "looks like example.com" in refused.content.decode()
    assert client.post(reverse("domains:add"), {"name": "other.example"}).status_code == 302
    url = reverse("domains:selectors", args=["other.example"])
    assert client.post(url, {"selectors": "bad!"}).status_code == 422
    assert client.post(url, {"selectors": "s1"}).status_code == 302
    assert client.post(reverse("domains:remove", args=["other.example"])).status_code == 302
    assert not Domain.objects.exists()


def test_a_customer_sees_only_what_nothing_but_their_own_values_use(client, customer, domain):
    server = ServerFactory()
    server.people.add(customer)
    OwnSmarthostFactory(server=server, sending_domain="mine.example")
    OwnSmarthostFactory(server=server, sending_domain="example.com")
    domains.collect()
    client.force_login(customer)
    page = client.get(reverse("domains:list")).content.decode()
    assert "mine.example" in page and "example.com/" not in page
    assert client.get(reverse("domains:domain", args=["example.com"])).status_code == 404
    assert client.post(reverse("domains:add"), {"name": "other.example"}).status_code == 404


def test_the_command_says_it_and_gives_json(domain, monkeypatch):
    monkeypatch.setattr(domains, "Asking", lambda name: pytest.fail("no network in tests"))
    out = StringIO()
    with pytest.raises(console.Usage):
        call_command("dns", "check", "nonsense", stdout=out)
    with pytest.raises(console.Usage):
        call_command("dns", "check", "example.com", "--preset", "none-such", stdout=out)


def test_the_command_reads_a_real_name_server(domain, monkeypatch):
    from gateway.deliverability.resolver import Asking
    from tests.gateway.deliverability.nameserver import Server, resolver_at, running
    from tests.gateway.deliverability.test_resolver import text

    out = StringIO()
    with running(Server({"example.com": text("127.0.0.1")})) as server:
        at = resolver_at(server)
        monkeypatch.setattr(domains, "Asking", lambda name: Asking(name, at))
        with pytest.raises(SystemExit):
            call_command("dns", "check", "example.com", stdout=out)
        assert "example.com. TXT v=spf1 include:_spf.google.com ~all" in out.getvalue()
        as_json = StringIO()
        with pytest.raises(SystemExit):
            call_command("dns", "check", "example.com", "--json", stdout=as_json)
    assert json.loads(as_json.getvalue())["state"] == "fail"
    domain.refresh_from_db()
    assert domain.state == "fail" and domain.checks.count() == 1
