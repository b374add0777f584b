"""Sending domains in the panel: collected, checked under a lease, kept when something changed."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from html import unescape
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from gateway import smarthosts
from gateway.deliverability import bell, domains, tasks
from gateway.deliverability.findings import Finding, Publish, Report, record
from gateway.deliverability.models import DnsCheck, Domain
from gateway.values import Values
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


def test_selectors_are_taken_as_providers_show_them():
    shown = "a1._domainkey.example.com\n B2._domainkey, c3._domainkey.example.com. a1"
    assert domains.read_selectors(shown) == "a1 b2 c3"
    longest = " ".join(f"{n}" + "x" * 62 for n in range(8))
    assert len(domains.read_selectors(longest)) <= Domain._meta.get_field("selectors").max_length


class Now:
    """Instead of `threading`: what would run in a thread runs at once."""

    class Thread:
        def __init__(self, target, args, **_):
            self.start = lambda: target(*args)


@pytest.fixture
def rung(monkeypatch):
    rings = []
    monkeypatch.setattr(tasks.check, "apply_async", lambda args, **_: rings.append(*args))
    monkeypatch.setattr(bell, "threading", Now)
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


def test_saving_an_account_makes_the_row_of_its_domain(administrator, rung, django_capture_on_commit_callbacks):
    new = Values(preset="generic", host="mail.example.net", port=587, sending_domain="example.com")
    with django_capture_on_commit_callbacks(execute=True):
        row = smarthosts.create("One", new, by=administrator)
    assert [(d.name, d.checking) for d in Domain.objects.all()] == [("example.com", True)]
    assert rung == [Domain.objects.get().pk]
    smarthosts.change(row, "One", replace(new, sending_domain="example.org"), by=administrator)
    server = ServerFactory()
    smarthosts.own(server, replace(new, sending_domain="own.example"), by=administrator)
    smarthosts.own(server, replace(new, sending_domain=""), by=administrator)
    assert {d.name for d in Domain.objects.all()} == {"example.com", "example.org", "own.example"}
    assert {d.name for d in Domain.objects.listed()} == {"example.org", "own.example"}


def test_a_broker_that_is_down_costs_a_page_nothing(domain, monkeypatch, caplog):
    def down(*_, **__):
        raise OSError("no broker")

    monkeypatch.setattr(bell, "threading", Now)
    monkeypatch.setattr(tasks.check, "apply_async", down)
    bell.check(domain.pk)
    assert "the timetable tells it later" in caplog.text


def test_a_command_that_ends_right_after_asking_waits_for_its_ring(monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(tasks.check, "apply_async", lambda *_, **__: go.wait(10))
    bell.check(1)
    ringing = [thread for thread in threading.enumerate() if thread.name == "dns-bell"]
    go.set()
    assert [thread.daemon for thread in ringing] == [False]


def test_what_others_did_with_a_domain_before_is_not_told_to_a_customer(client, customer, operator):
    server = ServerFactory()
    server.people.add(customer)
    OwnSmarthostFactory(server=server, sending_domain="mine.example")
    domains.collect()
    mine = Domain.objects.get(name="mine.example")
    checked(mine, Report("mine.example", (Finding("spf", "ok", "present", "Secret Provider may send."),)))
    checked(mine, GOOD)
    for person, told in ((customer, False), (operator, True)):
        client.force_login(person)
        page = client.get(reverse("domains:domain", args=["mine.example"])).content.decode()
        assert ("Secret Provider" in page) is told


def test_a_page_that_is_read_writes_nothing(client, administrator, domain):
    SmarthostFactory(sending_domain="not-yet-collected.example")
    checked(domain, BAD)
    client.force_login(administrator)
    client.get(reverse("domains:list"))
    pages = [reverse("domains:list"), reverse("domains:domain", args=["example.com"])]
    for page in (*pages, f"{pages[0]}?q=x&state=fail"):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page).status_code == 200
        written = [q["sql"] for q in queries if re.match(r"\s*(INSERT|UPDATE|DELETE|REPLACE)", q["sql"], re.I)]
        assert not written, (page, written)


def test_the_list_costs_the_same_for_few_domains_and_for_many(client, administrator, domain):
    client.force_login(administrator)
    costs = []
    for count in (3, 30):
        Domain.objects.bulk_create([Domain(name=f"d{count}-{n}.example", added=True) for n in range(count)])
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("domains:list"))
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 12


class Looks:
    """Stands at the wire: `look` without a network."""

    def __init__(self):
        self.names = []

    def __call__(self, name, *_, **__):
        self.names.append(name)
        time.sleep(0.01)
        return Report(name, GOOD.findings)


@pytest.fixture
def fleet():
    """Forty domains nobody checked, and what looks at them."""
    Domain.objects.bulk_create([Domain(name=f"d{n}.example", added=True) for n in range(40)])
    return Looks()


def test_many_domains_ring_for_no_more_workers_than_may_check_at_once(fleet, django_capture_on_commit_callbacks):
    rung = []
    with django_capture_on_commit_callbacks(execute=True):
        domains.ask_many(list(Domain.objects.all()), lambda: rung.append(1))
        domains.ask_many(list(Domain.objects.all()), lambda: rung.append(1))
    assert len(rung) == domains.AT_ONCE
    assert Domain.objects.waiting().count() == 40


@pytest.mark.django_db(transaction=True)
def test_however_many_work_each_domain_is_checked_once(fleet):
    def work():
        try:
            return domains.work(fleet)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        counts = [future.result() for future in [pool.submit(work) for _ in range(6)]]
    assert sorted(fleet.names) == sorted(row.name for row in Domain.objects.all())
    assert sum(counts) == 40
    assert not Domain.objects.exclude(state="ok").exists()


def test_while_enough_are_at_work_nobody_else_begins(fleet):
    busy = Domain.objects.values_list("pk", flat=True)[: domains.AT_ONCE]
    Domain.objects.filter(pk__in=list(busy)).update(leased_until=timezone.now() + timedelta(seconds=60))
    assert domains.work(fleet) == 0 and not fleet.names


def test_what_somebody_asked_for_comes_first(fleet):
    Domain.objects.update(checked_at=timezone.now() - timedelta(days=2))
    wanted = Domain.objects.get(name="d39.example")
    Domain.objects.filter(pk=wanted.pk).update(asked_at=timezone.now())
    assert domains.due(timezone.now(), 1) == [wanted.pk]


def test_a_check_that_breaks_is_unknown_and_holds_up_nobody(domain, caplog):
    checked(domain, GOOD)

    def broken(*_, **__):
        raise RuntimeError("of ours")

    assert domains.check_one(domain.pk, broken)
    domain.refresh_from_db()
    assert (domain.state, domain.leased_until) == ("unknown", None)
    assert "a fault of the panel" in domain.report["findings"][0]["what"]
    assert domains.due(timezone.now()) == [] and "of ours" in caplog.text


def test_strange_bytes_from_dns_are_stored_as_plain_text(domain):
    strange = Finding("spf", "fail", "wrong", "Odd.", "v=spf1 \x00\x1b[31m\u202eevil", "")
    checked(domain, Report("example.com", (strange,)))
    assert domain.report["findings"][0]["evidence"] == "v=spf1 evil"


def test_a_list_that_stays_silent_does_not_hide_another_that_speaks(domain):
    def listed(*names, unread):
        found = [Finding("blocklist", "fail", "wrong", f"On {name}.", names=(f"{name} A",)) for name in names]
        silent = Finding("blocklist", "unknown", "unknown", "Not known.", names=tuple(f"{n} A" for n in unread))
        return Report("example.com", (*GOOD.findings, *found, silent))

    checked(domain, listed(unread=["a"]))
    checked(domain, listed("b", unread=["a"]))
    checked(domain, listed("a", unread=["b"]))
    assert [row.changes for row in DnsCheck.objects.order_by("pk")][1:] == [["Now: On b."]]


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
        assert 'example.com. 3600 IN TXT "v=spf1 include:_spf.google.com ~all"' in out.getvalue()
        as_json = StringIO()
        with pytest.raises(SystemExit):
            call_command("dns", "check", "example.com", "--json", stdout=as_json)
    assert json.loads(as_json.getvalue())["state"] == "fail"
    domain.refresh_from_db()
    assert domain.state == "fail" and domain.checks.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_command_checks_all_domains_itself_and_says_how_far_it_is(monkeypatch):
    from gateway.deliverability.resolver import Asking
    from tests.gateway.deliverability.nameserver import Server, resolver_at, running
    from tests.gateway.deliverability.test_resolver import text

    SmarthostFactory(sending_domain="a.example", preset="gmail")
    Domain.objects.create(name="b.example", added=True)
    out, told = StringIO(), StringIO()
    with running(Server({name: text("127.0.0.1") for name in ("a.example", "b.example")})) as server:
        at = resolver_at(server)
        monkeypatch.setattr(domains, "Asking", lambda name: Asking(name, at))
        with pytest.raises(SystemExit):
            call_command("dns", "check", "--all", stdout=out, stderr=told)
    assert "Failed   a.example  a.example has no SPF record." in out.getvalue()
    assert "b.example" in out.getvalue() and "of 2." in told.getvalue()
    assert not Domain.objects.waiting() and Domain.objects.filter(checked_at__isnull=True).count() == 0


@pytest.mark.parametrize(
    "arguments",
    [["check"], ["check", "a.example", "--all"], ["check", "--all", "--preset", "gmail"], ["selectors", "a"]],
)
def test_the_command_refuses_what_it_cannot_mean(arguments):
    with pytest.raises(console.Usage):
        call_command("dns", *arguments)


def test_the_command_keeps_selectors_and_says_where_to_read_them(domain):
    SmarthostFactory(sending_domain="example.com", preset="postmark")
    out = StringIO()
    call_command("dns", "selectors", "example.com", stdout=out)
    assert out.getvalue().startswith("none\nPostmark: a date followed by pm")
    call_command("dns", "selectors", "example.com", "20260101pm._domainkey", stdout=out)
    domain.refresh_from_db()
    assert domain.selectors == "20260101pm"
    assert AuditEntry.objects.filter(verb="domain.selectors").exists()
    call_command("dns", "selectors", "example.com", "--none", stdout=out)
    domain.refresh_from_db()
    assert domain.selectors == ""


def test_the_list_says_what_stands_out_and_what_is_still_to_come(client, administrator, domain):
    silent = Finding("blocklist", "unknown", "unknown", "Whether it is listed is not known.")
    checked(domain, Report("example.com", (*GOOD.findings, silent)))
    out = StringIO()
    call_command("dns", "list", stdout=out)
    assert out.getvalue().strip() == "OK       example.com"
    client.force_login(administrator)
    quiet = client.get(reverse("domains:list")).content.decode()
    assert "every 2s" not in quiet and "Whether it is listed" not in quiet
    Domain.objects.update(asked_at=timezone.now())
    asked = client.get(reverse("domains:list")).content.decode()
    assert "1 domain still to come" in asked and "every 2s" in asked


def test_the_page_has_every_form_of_a_record_and_says_where_selectors_are(client, administrator, domain):
    SmarthostFactory(sending_domain="example.com", preset="ses")
    records = (
        record("k._domainkey.example.com", "example.com", "CNAME", "k.dkim.amazonses.com", "The DKIM key."),
        record("example.com", "example.com", "TXT", "v=spf1 ~all", "The one SPF record."),
    )
    checked(domain, replace(BAD, publish=records))
    client.force_login(administrator)
    page = unescape(client.get(reverse("domains:domain", args=["example.com"])).content.decode())
    for wanted in (
        ">k._domainkey<",
        ">k._domainkey.example.com<",
        ">k.dkim.amazonses.com<",
        ">k.dkim.amazonses.com.<",
        ">k._domainkey.example.com. 3600 IN CNAME k.dkim.amazonses.com.<",
        ">@<",
        '>"v=spf1 ~all"<',
        "3600 seconds",
        "https://console.aws.amazon.com/ses/home#/identities",
    ):
        assert wanted in page, wanted
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_checking_all_reaches_only_what_may_be_seen(client, customer, operator, domain, rung, monkeypatch):
    monkeypatch.setattr(tasks.work, "apply_async", lambda *_, **__: rung.append("work"))
    for person in (customer, operator):
        client.force_login(person)
        assert client.post(reverse("domains:check-all")).status_code == 404
    client.force_login(customer)
    assert client.post(reverse("domains:check", args=["example.com"])).status_code == 404
    assert not rung and not Domain.objects.waiting()
