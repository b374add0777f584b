"""Servers whose own address counts: tests/golden/dns/origins.yml, and which servers those are."""

from pathlib import Path

import pytest
import yaml

from gateway.deliverability import accounts, domains
from gateway.deliverability.accounts import Use, sender
from gateway.deliverability.check import check
from gateway.deliverability.findings import Origin
from gateway.providers import presets
from tests.factories import GatewayFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory
from tests.gateway.deliverability.zone import Zone

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "dns" / "origins.yml"
CASES = [case for case in yaml.safe_load_all(GOLDEN.read_text()) if case]


def checked(case: dict):
    use = Use(case["preset"], "", not case.get("signed"), tuple(Origin(*server) for server in case["servers"]))
    one = sender(presets.get(case["preset"]), use)
    return check(case["domain"], Zone(case["zone"]), [one], domains.organisation)


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_as_the_golden_file_says(case):
    report = checked(case)
    said = [(f"{f.area} {f.state} {f.word}", f.what) for f in report.findings]
    for wanted, part in case["finds"].items():
        assert any(key == wanted.partition("|")[0] and part in what for key, what in said), (wanted, part, said)
    assert not [f for f in report.findings if f.area == "server" and f.word in case.get("never", ())], said
    assert case.get("evidence", "") in "\n".join(f.evidence for f in report.findings)
    wanted = case.get("publish", {})
    published = {f"{p.name} {p.kind}": p.value for p in report.publish}
    assert wanted.items() <= published.items(), published
    if "publish" in case and f"{case['domain']} TXT" not in wanted:
        assert f"{case['domain']} TXT" not in published


@pytest.mark.django_db
def test_only_servers_without_a_sign_in_are_asked_about_each_once():
    shared = SmarthostFactory(
        preset="m365-direct", username="", sending_domain="example.com", helo_name="a.example.com"
    )
    signed = SmarthostFactory(preset="sendgrid", username="apikey", sending_domain="example.com")
    for name, account in (("web-1", shared), ("web-2", signed)):
        GatewayFactory(server=ServerFactory(name=name, address="web.example.net"), wanted=account, applied=account)
    moving = ServerFactory(name="web-3", address="198.51.100.3")
    own = OwnSmarthostFactory(server=moving, preset="m365-direct", username="", sending_domain="example.com")
    GatewayFactory(server=moving, wanted=own, applied=shared)
    OwnSmarthostFactory(server=moving, preset="m365-direct", username="", sending_domain="example.com")  # a preview's
    direct, other = accounts.uses("example.com")
    assert direct.origins == (
        Origin("web-1", "web.example.net", "a.example.com"),
        Origin("web-3", "198.51.100.3", own.helo_name),
        Origin("web-3", "198.51.100.3", "a.example.com"),
    )
    assert (other.preset, other.origins) == ("sendgrid", ())


@pytest.mark.django_db
def test_a_fleet_without_a_sign_in_is_looked_at_in_part_and_says_so(monkeypatch):
    monkeypatch.setattr(accounts, "SHOWN", 2)
    shared = SmarthostFactory(preset="m365-direct", username="", sending_domain="example.com")
    for n in range(5):
        GatewayFactory(server=ServerFactory(name=f"web-{n}"), wanted=shared, applied=shared)
    (found,) = domains.senders("example.com")
    assert (len(found.origins), found.more, found.delivers) == (2, 3, True)
    report = check(
        "example.com", Zone({"example.com": [{"MX": [10, "mx.example.com"]}]}), [found], domains.organisation
    )
    assert any("3 more servers" in f.what for f in report.findings)
