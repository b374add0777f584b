"""manage.py dns check, list and selectors."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from controlpanel.access.models import AuditEntry
from gateway.deliverability import domains
from gateway.deliverability.models import Domain
from servers.management import console
from tests.factories import SmarthostFactory
from tests.gateway.deliverability.test_domains import domain as domain  # the fixture

pytestmark = pytest.mark.django_db


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
