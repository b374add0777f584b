"""The pages of sending domains in a real browser: readable by everybody, no wider than the phone."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.utils import timezone

from gateway.deliverability import blocklists, domains
from gateway.deliverability.accounts import Use, sender
from gateway.deliverability.check import Scope, check
from gateway.deliverability.findings import Origin
from gateway.deliverability.models import Domain
from gateway.deliverability.mtasts import Fetched
from gateway.providers import presets
from tests.factories import SmarthostFactory
from tests.gateway.deliverability.test_check import filled
from tests.gateway.deliverability.zone import Zone
from tests.web.conftest import chromium, watch  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
STRANGE = yaml.safe_load("""
  news.example.com: [{TXT: "v=spf1 include:gone.test +all"}, {TXT: "v=spf1 mx -all"}, {MX: [10, mx.example.com]}]
  _mta-sts.news.example.com: [{TXT: "v=STSv1; id=2026"}]
  mta-sts.news.example.com: [{A: 192.0.2.80}]
  fm1._domainkey.news.example.com: [{CNAME: fm1.other.example.dkim.fmhosted.com}]
  fm2._domainkey.news.example.com: [{TXT: KEY1024}]
  test.surbl.org.multi.surbl.org: [{A: 127.0.0.254}]
  example.com.multi.surbl.org: [{A: 127.0.0.8}]
  dbltest.com.dbl.spamhaus.org: [{A: 127.255.255.254}]
  2.0.0.127.zen.spamhaus.org: [{A: 127.0.0.2}]
  34.216.184.93.zen.spamhaus.org: [{A: 127.0.0.4}]
""")


def strange() -> Domain:
    """A domain with a finding of every kind."""
    for slug in ("ses", "fastmail", "postmark"):
        SmarthostFactory(name=slug, preset=slug, sending_domain="news.example.com", username="x")
    domains.collect()
    servers = (Origin("web-1", "93.184.216.34", "web-1.example.com"), Origin("web-2", "10.0.0.5", ""))
    senders = [sender(presets.get(slug)) for slug in ("ses", "fastmail", "postmark")]
    senders.append(sender(presets.get("m365-direct"), Use("m365-direct", "", True, servers)))
    policy = Fetched("version: STSv1\nmode: enforce\nmx: other.example.com\nmax_age: 604800\n")
    zone = Zone({n: [{k: filled(v) for k, v in r.items()} for r in rows] for n, rows in STRANGE.items()})
    scope = Scope(("abcdefghijklmnopqrstuvwxyz234567",), blocklists.known(), lambda *_: policy)
    report = check("news.example.com", zone, senders, domains.organisation, scope)
    domain = Domain.objects.get(name="news.example.com")
    domains.keep(domain.pk, report)
    return domain


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", {"width": 1280, "height": 900}), ("dark", {"width": 390, "height": 844})],
    ids=["wide", "phone"],
)
def test_a_domain_with_everything_is_readable(watch, administrator, scheme, size):  # noqa: F811
    strange()
    Domain.objects.create(name="slow.example", added=True, asked_at=timezone.now() - timedelta(seconds=9))
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    seen.open("/domains/")
    assert "1 domain still to come" in seen.page.inner_text("#listing")
    assert not seen.violations()
    if pictures := os.environ.get("PICTURES"):
        seen.page.screenshot(path=Path(pictures) / f"list-{scheme}.png", full_page=True)
    seen.page.get_by_role("link", name="news.example.com").click()
    seen.page.wait_for_selector("#publish")
    for details in seen.page.locator("details summary").all():
        details.click()
    assert not seen.violations()
    if pictures:
        seen.page.screenshot(path=Path(pictures) / f"domain-{scheme}.png", full_page=True)
    assert not seen.trouble
