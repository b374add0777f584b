"""The error catalogue: every row of the measured list has a golden text, and vague texts get no specific fix.

golden/replies.jsonl holds the measured list, golden/replies_met.jsonl what others met: replies quoted in public issues,
in ActiveCampaign/smtp-field-manual and in the bounces of sisimai, each with its source in front.
"""

import json
import re
import time
from pathlib import Path

import pytest

from gateway.providers import presets, replies

GOLDEN = [
    json.loads(line)
    for name in ("replies.jsonl", "replies_met.jsonl")
    for line in (Path(__file__).parent / "golden" / name).read_text("utf-8").splitlines()
]
EVERY = {e.slug: e for e in [*(rule.explanation for rule in replies.rules()), *replies.families().values()]}
ROWS = range(1, 68)


@pytest.mark.parametrize("row, preset, slug, text", GOLDEN)
def test_a_known_text_gets_its_own_explanation(row, preset, slug, text):
    found = replies.explain(text, preset)
    assert found.slug == slug
    if isinstance(row, int):
        assert any(row in rule.rows for rule in replies.rules() if rule.explanation.slug == slug)


def test_every_row_of_the_catalogue_has_a_rule_and_a_golden_text():
    assert {row for row, *_ in GOLDEN if isinstance(row, int)} == set(ROWS)
    assert {row for rule in replies.rules() for row in rule.rows} == set(ROWS)


def test_every_rule_has_a_golden_text():
    assert {rule.explanation.slug for rule in replies.rules()} - {slug for _, _, slug, _ in GOLDEN} == set()


@pytest.mark.parametrize("explanation", EVERY.values(), ids=EVERY.keys())
def test_every_explanation_is_one_plain_sentence_each(explanation):
    assert explanation.area in replies.AREAS
    for sentence in (explanation.cause, explanation.fix):
        assert sentence.endswith(".") and ". " not in sentence.replace("Directory. ", ""), sentence
        assert sentence[0].isupper() and "  " not in sentence
        assert not re.search(r"\bplease\b|successfully|!", sentence, re.IGNORECASE), sentence


def test_rules_name_presets_that_exist():
    assert {slug for rule in replies.rules() for slug in rule.presets} <= {preset.slug for preset in presets.all()}


def test_families_are_marked_as_guesses():
    assert replies.explain("550 5.7.1 no").exact is False
    assert replies.explain("535 5.7.8 Error: authentication failed").exact is True


@pytest.mark.parametrize(
    "text",
    [
        "550 5.7.1 Connection refused",
        "host relay.test[192.0.2.1] refused to talk to me: 554 5.7.1 Connection refused",
        "host relay.test[192.0.2.1] said: 451 4.4.1 Host not found (in reply to RCPT TO command)",
        "554 5.4.7 Message expired: connect to mx.example.org[192.0.2.1]:25: Connection timed out",
    ],
)
def test_what_a_reply_says_of_a_network_is_not_about_this_servers_own(text):
    assert not replies.explain(text).exact
    assert replies.explain(text).area not in ("port", "server")


@pytest.mark.parametrize("text", ["5" * 100_000, "a@" * 50_000, "550-" * 20_000, b"\xff\x00\x1b[", "\x1b[31m" * 9000])
def test_hostile_text_is_explained_quickly_and_never_raises(text):
    started = time.thread_time()
    assert replies.explain(text, "no-such-preset").slug
    assert time.thread_time() - started < 1


def test_the_end_of_a_long_log_is_read_too():
    log = "postfix/smtp[1]: connecting\n" * 5000 + "status=deferred (Server certificate not verified)"
    assert replies.explain(log).slug == "certificate-not-verified"
