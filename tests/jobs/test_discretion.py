"""Words that are not for everybody, in the shapes in which logs and settings show them."""

import time

import pytest

from servers.jobs.discretion import hide

PRIVATE = {
    "smtp.relay.example": "the SMTP provider",
    "eu.smtp.relay.example": "the SMTP provider",
    "203.0.113.7": "the SMTP provider",
    "me": "••••",
    "relay@example.com": "••••",
    "$odd": "••••",
}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("smtp.relay.example port 587 answers", "the SMTP provider answers"),
        ("relay=smtp.relay.example[203.0.113.9]:587, delay=1", "relay=the SMTP provider, delay=1"),
        ("relay=smtp.relay.example[2001:db8::9]:25: said", "relay=the SMTP provider: said"),
        ("+relayhost = [SMTP.Relay.Example]:587", "+relayhost = the SMTP provider"),
        ("220 mx-7.eu.smtp.relay.example ESMTP", "220 the SMTP provider ESMTP"),
        ("Name: ok. smtp.relay.example [203.0.113.9, 2001:db8::9]", "Name: ok. the SMTP provider"),
        ("connect to 203.0.113.7:587: refused", "connect to the SMTP provider: refused"),
        ("535 5.7.8 <Relay@example.com>: wrong", "535 5.7.8 <••••>: wrong"),
        ("user=me, name=some", "user=••••, name=some"),
        ("a $odd one, even us$odd", "a •••• one, even us••••"),
        ("nothing of it: smtp.example.com", "nothing of it: smtp.example.com"),
        ("smtp.relay.examples are elsewhere", "smtp.relay.examples are elsewhere"),
    ],
)
def test_a_private_word_goes_with_its_surroundings_and_nothing_else_does(text, read):
    assert hide(text, PRIVATE) == read


def test_a_whole_result_is_read_with_the_words_hidden():
    result = {"reply": "at smtp.relay.example", "steps": [{"commands": ["x me"]}], "seconds": 1.5, "sent": True}
    assert hide(result, PRIVATE) == {
        "reply": "at the SMTP provider",
        "steps": [{"commands": ["x ••••"]}],
        "seconds": 1.5,
        "sent": True,
    }


def test_letters_that_only_look_alike_break_nothing():
    assert hide("\u212aey and \u017fmtp.relay.example", PRIVATE | {"key": "••••"}) == "•••• and ••••"


@pytest.mark.parametrize("piece", ["a.", "[", "me", "smtp.relay.example[", "1:"])
def test_a_hostile_line_costs_no_more_than_its_length(piece):
    began = time.thread_time()
    hide(piece * (300_000 // len(piece)), PRIVATE)
    assert time.thread_time() - began < 5
