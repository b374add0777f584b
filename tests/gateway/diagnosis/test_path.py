"""What Postfix's log says of the probe it was asked for, and of silence at the pace this server keeps."""

import re

from gateway.diagnosis import path

DELIVERABLE = (
    "Nov 21 10:00:00 web-1 postfix/smtp[4242]: 4F1: to=<root@example.com>, relay=smtp.example.com[192.0.2.1]:587, "
    "delay=1, delays=0/0/1/0, dsn=2.0.0, status=deliverable (250 2.1.5 Ok)"
)


def test_the_probe_is_followed_for_as_long_as_it_is_asked():
    assert re.search(r"\btimeout 97 journalctl ", path.script("root@example.com", "journal", 97))


def test_silence_is_told_with_the_time_and_the_pace_that_may_be_the_reason():
    quick, paced = path.stage([], "", 40, 40), path.stage([], "", 70, 70, "send one message every 30 s")
    assert (quick.state, quick.evidence) == ("unknown", "Postfix logged no result within 40 s.")
    assert paced.evidence == (
        "Postfix logged no result within 70 s. This server may send one message every 30 s, and what waited before "
        "goes first."
    )


def test_an_answer_needs_no_pace_to_explain_it():
    found = path.stage([DELIVERABLE], "", 2, 70, "send one message every 30 s")
    assert found.state == "ok" and "within" not in found.evidence
