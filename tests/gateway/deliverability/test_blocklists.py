"""Blocklists that list, that may not be asked, that lie: tests/golden/dns/blocklists.yml."""

import ipaddress
from pathlib import Path

import pytest
import yaml

from gateway.deliverability import blocklists, domains, listings
from gateway.deliverability.answers import FOUND, NXDOMAIN, Answer
from gateway.deliverability.domains import organisation
from gateway.deliverability.findings import Finding, Report
from gateway.deliverability.resolver import Asking
from tests.gateway.deliverability.nameserver import Server, resolver_at, running
from tests.gateway.deliverability.test_resolver import text
from tests.gateway.deliverability.zone import Zone

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "dns" / "blocklists.yml"
CASES = [case for case in yaml.safe_load_all(GOLDEN.read_text()) if case]
LISTS = blocklists.known()
FINE = Finding("spf", "ok", "present", "One SPF record.")
# Shut down, and answering nothing or everything since.
DEAD = (
    *("sorbs.net", "njabl.org", "ahbl.org", "dsbl.org", "spamcannibal.org", "manitu.net", "cbl.abuseat.org"),
    *("rfc-ignorant.org", "orbs.org", "ordb.org", "mail-abuse.org"),
)


def zone(records: dict):
    """What the lists say; the test points of all of them for LISTS."""
    named = {name: rows for name, rows in records.items() if name not in ("LISTS", "WILDCARD")}
    points = {f"{one.listed}.{one.zone}": [{"A": next(iter(answers(one)))}] for one in LISTS if "LISTS" in records}
    known = Zone(points | named)
    wild = [row["A"] for row in records.get("WILDCARD", ())]

    def lookup(name: str, kind: str) -> Answer:
        answer = known(name, kind)
        return Answer(FOUND, tuple(wild), 300) if answer.status == NXDOMAIN and wild else answer

    return lookup


def answers(one: blocklists.Blocklist):
    return (f"127.0.0.{code}" if one.bits else code for code in one.codes)


def judged(case: dict):
    lookup = zone(case["zone"])
    if "address" in case:
        servers = {case["address"]: ("web-1",)}
        return listings.of_addresses(servers, LISTS, lookup, delivers=case["delivers"])
    return listings.of_domain(case["domain"], organisation(case["domain"]), LISTS, lookup)


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_as_the_golden_file_says(case):
    findings = judged(case)
    said = [(f"{f.area} {f.state} {f.word}", f.what) for f in findings]
    for wanted, part in case["finds"].items():
        assert any(key == wanted and part in what for key, what in said), (wanted, part, said)
    assert not [f for f in findings if f.word in case.get("never", ())], said
    assert case.get("evidence", "") in "\n".join(f.evidence for f in findings)
    if "state" in case:
        assert Report("example.com", (FINE, *findings)).state == case["state"]


def test_what_is_asked_first_is_all_that_is_asked_of_lists_that_work():
    lookup = zone({"LISTS": []})
    asked = []

    def watched(name, kind):
        asked.append((name, kind))
        return lookup(name, kind)

    listings.of_domain("news.example.com", "example.com", LISTS, watched)
    assert set(asked) <= set(blocklists.questions(LISTS, "news.example.com", "example.com"))


def test_a_silent_list_is_asked_once_however_many_addresses_there_are():
    lookup = Zone({f"{one.listed}.{one.zone}": ["TIMEOUT"] for one in LISTS})
    addresses = {f"198.51.100.{n}": ("web",) for n in range(10)}
    listings.of_addresses(addresses, LISTS, lookup, delivers=True)
    assert len(set(lookup.asked)) == len([one for one in LISTS if one.of == "address"])


DBL = """
$TTL 60
@ IN SOA ns host 1 60 60 60 60
@ IN NS ns
ns IN A 127.0.0.1
dbltest.com IN A 127.0.1.2
example.com IN A 127.0.1.4
"""


@pytest.mark.parametrize("wanted", [True, False])
def test_lists_are_asked_over_the_wire_and_not_where_that_is_turned_off(settings, wanted):
    settings.BLOCKLISTS = wanted
    with running(Server({"dbl.spamhaus.org": DBL, "example.com": text("127.0.0.1")})) as server:
        report = domains.look("example.com", (), (), Asking("example.com", resolver_at(server)))
    found = [f for f in report.findings if f.area == "blocklist"]
    assert any("Spamhaus DBL: it is used for phishing" in f.what for f in found) is wanted
    assert bool(found) is any("spamhaus" in name for name in server.asked) is wanted


def test_the_data_names_only_lists_that_live():
    assert not [one.zone for one in LISTS if one.zone.endswith(DEAD)]
    assert len({one.zone for one in LISTS}) == len(LISTS)
    for one in LISTS:
        assert one.of in ("domain", "address") and one.page.startswith("https://") and one.off.endswith(".")
        for code in one.codes.values():
            assert code.state in ("fail", "warn", "policy") and not code.what.endswith(".")
        for answer in (*answers(one), *one.refused):
            assert ipaddress.ip_address(answer) in ipaddress.ip_network("127.0.0.0/8")
        assert not set(answers(one)) & set(one.refused)
