"""The pages of sending domains: who sees which, what they say, and what a look at them costs."""

import re
from dataclasses import replace
from html import unescape
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from gateway.deliverability import domains, tasks
from gateway.deliverability.findings import Finding, Report, record
from gateway.deliverability.models import Domain
from tests.factories import OwnSmarthostFactory, ServerFactory, SmarthostFactory
from tests.gateway.deliverability.test_domains import BAD, GOOD, checked
from tests.gateway.deliverability.test_domains import domain as domain  # the fixture
from tests.gateway.deliverability.test_domains import rung as rung  # the fixture

pytestmark = pytest.mark.django_db


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
