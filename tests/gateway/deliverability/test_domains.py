"""Sending domains in the panel: collected, checked under a lease, kept when something changed."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from gateway import smarthosts
from gateway.deliverability import bell, domains, tasks
from gateway.deliverability.findings import Finding, Publish, Report
from gateway.deliverability.models import DnsCheck, Domain
from gateway.values import Values
from servers import bell as ringing
from tests.factories import ServerFactory, SmarthostFactory

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
    monkeypatch.setattr(ringing, "threading", Now)
    return rings


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


def test_a_domain_that_an_account_leaves_to_others_is_looked_at_anew(
    domain, administrator, rung, django_capture_on_commit_callbacks
):
    checked(domain, GOOD)
    new = Values(preset="generic", host="mail.example.net", port=587, sending_domain="example.com")
    row = smarthosts.create("Two", new, by=administrator)
    checked(domain, GOOD)
    with django_capture_on_commit_callbacks(execute=True):
        smarthosts.change(row, "Two", replace(new, sending_domain="example.org"), by=administrator)
    assert sorted(rung) == sorted(Domain.objects.values_list("pk", flat=True)) and len(rung) == 2


def test_a_broker_that_is_down_costs_a_page_nothing(domain, monkeypatch, caplog):
    def down(*_, **__):
        raise OSError("no broker")

    monkeypatch.setattr(ringing, "threading", Now)
    monkeypatch.setattr(tasks.check, "apply_async", down)
    bell.check(domain.pk)
    assert "the timetable does it later" in caplog.text


def test_a_command_that_ends_right_after_asking_waits_for_its_ring(monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(tasks.check, "apply_async", lambda *_, **__: go.wait(10))
    bell.check(1)
    ringing = [thread for thread in threading.enumerate() if thread.name == "task-bell"]
    go.set()
    assert [thread.daemon for thread in ringing] == [False]


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
