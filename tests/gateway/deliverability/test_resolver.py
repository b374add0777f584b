"""The wire: what the zone says, what resolvers still say, and what nobody says."""

import pytest

from gateway.deliverability import resolver
from gateway.deliverability.accounts import sender
from gateway.deliverability.domains import look
from gateway.deliverability.known import Known
from gateway.deliverability.resolver import Asking
from gateway.providers import presets
from tests.gateway.deliverability.nameserver import Server, resolver_at, running

ZONE = """
$TTL 3600
@ 3600 IN SOA ns1 host 1 3600 600 86400 {negative}
@ IN NS ns1
ns1 IN A {address}
@ IN MX 10 mx
mx IN A 192.0.2.1
{more}
"""
GMAIL = sender(presets.get("gmail"))
SPF = '@ IN TXT "v=spf1 include:_spf.google.com " "~all"'


def text(address: str, more: str = "", negative: int = 2400) -> str:
    return ZONE.format(address=address, more=more, negative=negative)


@pytest.fixture
def quick(monkeypatch):
    """For those in which somebody is silent."""
    monkeypatch.setattr(resolver, "TIMEOUT", 1)


@pytest.fixture
def two():
    """(what the resolver has, what the zone's own server has), both changeable."""

    def make(old: str, new: str):
        cache = Server({"example.com": text("127.0.0.2", old)})
        source = Server({"example.com": text("127.0.0.2", new)}, cache.port, "127.0.0.2")
        return cache, source

    return make


def test_strings_are_joined_and_aliases_followed():
    more = 'a IN CNAME b\nb IN TXT "one " "two"\n'
    with running(Server({"example.com": text("127.0.0.1", more)})) as server:
        answer = Asking("example.com", resolver_at(server), private=True)("a.example.com", "TXT")
    assert (answer.values, answer.alias) == (("one two",), "b.example.com")


def test_no_and_no_answer_are_told_apart(quick):
    with running(Server({"example.com": text("127.0.0.1")})) as server:
        server.refusing = {"bad.example.com"}
        asking = Asking("example.com", resolver_at(server))
        assert asking("gone.example.com", "TXT").status == "nxdomain"
        assert asking("example.com", "TXT").status == "empty"
        assert asking("bad.example.com", "TXT").status == "unknown"
        server.silent = True
        late = asking("late.example.com", "TXT")
    assert (late.status, late.detail) == ("unknown", "the resolver did not answer in time")


def test_published_at_the_source_and_not_yet_in_the_resolver_is_spreading(two):
    cache, source = two("", '_dmarc IN TXT "v=DMARC1; p=none"')
    with running(cache), running(source):
        report = look("example.com", (), (), Asking("example.com", resolver_at(cache), private=True))
    found = next(f for f in report.findings if f.area == "dmarc")
    assert (found.word, found.state) == ("spreading", "warn")
    assert "40 min left" in found.hint
    assert not [p for p in report.publish if p.kind == "TXT" and p.name == "_dmarc.example.com"]


def test_a_source_that_is_silent_leaves_the_resolver_s_word(two, quick):
    cache, source = two('_dmarc IN TXT "v=DMARC1; p=none"', "")
    source.silent = True
    with running(cache), running(source):
        report = look("example.com", (), (), Asking("example.com", resolver_at(cache), private=True))
    assert next(f for f in report.findings if f.area == "dmarc").word == "present"


def test_name_servers_in_the_local_network_are_not_asked_directly(two):
    cache, source = two("", "")
    with running(cache), running(source):
        look("example.com", (), (), Asking("example.com", resolver_at(cache)))
    assert source.asked == []


def test_a_dead_resolver_makes_everything_unknown_and_nothing_missing(quick):
    with running(Server({})) as server:
        server.silent = True
        report = look("example.com", (GMAIL,), (), Asking("example.com", resolver_at(server)))
    assert {f.state for f in report.findings if f.area != "server"} == {"unknown"}, report.findings
    assert not report.publish


def test_a_domain_that_asks_too_much_is_cut_short(monkeypatch):
    monkeypatch.setattr(resolver, "QUESTIONS", 5)
    with running(Server({"example.com": text("127.0.0.1", SPF)})) as server:
        report = look("example.com", (GMAIL,), (), Asking("example.com", resolver_at(server)))
        assert len(server.asked) <= 5
    assert report.state in ("unknown", "warn", "fail")
    assert not any(f.word == "missing" for f in report.findings)


def test_a_name_that_cannot_be_asked_for_does_no_harm():
    with running(Server({"example.com": text("127.0.0.1", SPF)})) as server:
        asking = Asking("example.com", resolver_at(server), private=True)
        for name in ("a\\b.example.com", "ß" * 60 + ".example.com", "a\\300.test"):
            assert not asking(name, "TXT").values, name
        assert asking("example.com", "TXT").values


def test_a_second_resolver_is_asked_for_what_the_first_does_not_say(quick):
    first = Server({})
    second = Server({"example.com": text("127.0.0.9", SPF)}, first.port, "127.0.0.2")
    first.silent = True
    with running(first), running(second):
        both = resolver_at(first)
        both.nameservers = ["127.0.0.1", "127.0.0.2"]
        assert Asking("example.com", both)("example.com", "TXT").values


def test_answers_are_shared_between_checks_where_no_zone_of_theirs_holds_them():
    known = Known()
    zones = {name: text("127.0.0.9", SPF) for name in ("one.test", "two.test", "provider.test")}
    with running(Server(zones)) as server:
        for name in ("one.test", "two.test"):
            asking = Asking(name, resolver_at(server), known=known)
            assert asking("provider.test", "TXT").values and asking(name, "TXT").values
            assert asking("gone.provider.test", "TXT").status == "nxdomain"
        assert [server.asked.count(name) for name in ("provider.test", "gone.provider.test")] == [1, 2]
        Asking("provider.test", resolver_at(server), known=known)("provider.test", "TXT")
    assert server.asked.count("provider.test") == 3, "its own zone and its TXT are asked again"
