"""The error catalogue: every row of the measured list has a golden text, and vague texts get no specific fix."""

import json
import re
import time
from pathlib import Path

import pytest

from gateway.providers import presets, replies

GOLDEN = [
    json.loads(line)
    for line in (Path(__file__).parent / "golden" / "replies.jsonl").read_text("utf-8").splitlines()
    if line
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


@pytest.mark.parametrize("text", ["5" * 100_000, "a@" * 50_000, "550-" * 20_000, b"\xff\x00\x1b[", "\x1b[31m" * 9000])
def test_hostile_text_is_explained_quickly_and_never_raises(text):
    started = time.monotonic()
    assert replies.explain(text, "no-such-preset").slug
    assert time.monotonic() - started < 1


def test_the_end_of_a_long_log_is_read_too():
    log = "postfix/smtp[1]: connecting\n" * 5000 + "status=deferred (Server certificate not verified)"
    assert replies.explain(log).slug == "certificate-not-verified"
