"""Every finding of every golden case says what is so, and, unless it is fine, what helps."""

import re

import pytest

from gateway.deliverability import mtasts
from gateway.deliverability.mtasts import Fetched
from tests.gateway.deliverability import test_blocklists, test_check, test_mtasts, test_origins


def of_policies():
    for case in test_mtasts.CASES:
        fetched = Fetched(case.get("text", ""), case.get("fault", ""), case.get("unknown", False))
        lookup = test_mtasts.zone(case["record"], case["mx"], hostless=case.get("hostless", False))
        yield from mtasts.judge("example.com", lookup, lambda *_, fetched=fetched: fetched, {})[0]


@pytest.fixture(scope="module")
def findings():
    found = [f for case in test_check.CASES for f in test_check.checked(case).findings]
    found += [f for case in test_origins.CASES for f in test_origins.checked(case).findings]
    found += [f for case in test_blocklists.CASES for f in test_blocklists.judged(case)]
    return [*found, *of_policies()]


def test_what_is_not_fine_says_what_helps(findings):
    assert len(findings) > 200
    assert not [f.what for f in findings if f.state != "ok" and not f.hint]


def test_sentences_are_sentences(findings):
    for finding in findings:
        for text in filter(None, (finding.what, finding.hint)):
            assert re.match(r"[A-Z“0-9a-z_]", text) and re.search(r"[.…]$", text), text
            assert not re.search(r"!|successful|please|(?-i:\bNone\b)|\{|\}|  ", text, re.I), text


def test_what_is_right_asks_for_nothing(findings):
    assert not [f for f in findings if f.state == "ok" and f.word in ("missing", "wrong")]
