"""DNS as it is: zones on nsd, asked directly and through unbound. What is said about each is in zones.yml."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from gateway.deliverability import resolver, spf
from gateway.deliverability.domains import look, sender
from gateway.deliverability.findings import Report
from gateway.deliverability.resolver import Asking
from tests.fleet.nameserver import LAME, SILENT, Nameserver, Resolver, missing
from tests.gateway.deliverability import realzones
from tests.gateway.deliverability.nameserver import Server, running

ZONES = realzones.load()
CASES = [case for case in ZONES if case.finds]
pytestmark = [
    pytest.mark.django_db,  # presets may have been changed in the panel
    pytest.mark.skipif(bool(missing()), reason="packages missing: " + " ".join(missing())),
]


@dataclass
class World:
    source: Nameserver
    cache: Resolver

    def asking(self, domain: str) -> Asking:
        return Asking(domain, self.cache.client(), private=True)

    def look(self, domain: str, presets=(), selectors=()) -> Report:
        return look(domain, tuple(map(sender, presets)), tuple(selectors), self.asking(domain))


def _text(case: realzones.Case, anchors: list[str]) -> str | None:
    if case.at == "broken":
        return None
    if case.at not in ("signed", "forged"):
        return case.text()
    text, anchor = realzones.signed(case)
    anchors.append(anchor)
    return text


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    anchors: list[str] = []
    here = [case for case in ZONES if case.at not in ("second", "silent", "lame") and not case.absent]
    source = Nameserver({case.zone: _text(case, anchors) for case in here})
    cache = Resolver(source.port, {case.zone: case.address for case in ZONES if not case.absent}, tuple(anchors))
    second = Server({case.zone: case.text() for case in ZONES if case.at == "second"}, source.port, realzones.SECOND)
    second.plain = True
    lame = Nameserver({"other.test": ZONES[0].text()}, address=LAME, port=source.port)
    deaf = Server({}, source.port, SILENT)
    deaf.silent = True
    with ExitStack() as stack:
        for server in (running(second), running(deaf), source, lame, cache):
            stack.enter_context(server)
        yield World(source, cache)


@pytest.fixture
def patience(monkeypatch, case):
    """Little where the zone's server never answers; an answer may come late where the machine has much to do."""
    monkeypatch.setattr(resolver, "TIMEOUT", 0.7 if case.at == "silent" else 20)


def test_there_are_enough_of_them():
    assert len({case.zone for case in ZONES}) == len(ZONES) >= 60


@pytest.mark.parametrize("case", CASES, ids=[case.zone for case in CASES])
def test_as_the_golden_file_says(case, world, patience):
    report = world.look(case.name, case.presets, case.selectors)
    said = [(f"{f.area} {f.state} {f.word}", f"{f.what} {f.evidence}") for f in report.findings]
    for wanted, part in case.finds.items():
        assert any(key == wanted.partition("|")[0] and part in told for key, told in said), (wanted, part, said)
    assert report.state == (case.state or report.state), said
    area = case.never_area
    assert not [f for f in report.findings if f.word in case.never and area in ("", f.area)], said
    assert not case.never_said or all(case.never_said not in told for _, told in said)
    assert all(f.word != "spreading" for f in report.findings), said
    published = {f"{p.name} {p.kind}": p.value for p in report.publish}
    if case.publish is not None:
        assert case.publish.items() <= published.items(), published
        assert case.publish or not published
    for address, verdict in case.spf.items():
        outcome = spf.check_host(address, f"someone@{case.name}", "helo.test", world.asking(case.name))
        assert outcome.result == verdict, (address, outcome.why)


def test_what_is_published_and_what_resolvers_still_say_are_told_apart(world):
    """Runs after the domain was looked at as it was, or looks itself: either way unbound has the old answers."""
    case = next(case for case in CASES if case.zone == "moving.test")

    def words() -> dict[str, tuple[str, str]]:
        return {f.area: (f.word, f.hint) for f in world.look(case.zone).findings}

    assert words()["spf"][0] == "wrong" and words()["dmarc"][0] == "missing"
    mended = replace(case, records='@ TXT "v=spf1 mx -all"\n_dmarc TXT "v=DMARC1; p=none"\n').text(serial=2)
    world.source.publish(case.zone, mended)
    told = words()
    assert told["spf"][0] == told["dmarc"][0] == "spreading"
    assert re.search(r"(5\d|60) min left", told["spf"][1]) and re.search(r"(3\d|40) min left", told["dmarc"][1]), told
    world.cache.forget()
    told = words()
    assert told["spf"][0] == told["dmarc"][0] == "present"
