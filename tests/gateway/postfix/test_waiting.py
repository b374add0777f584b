"""What Postfix tells of its queue, through the very awk the servers run."""

import json
import subprocess

import pytest

from gateway.postfix import waiting

REFUSED = 'connect to "smtp"[192.0.2.1]:587: Connection refused'


def mail(arrival: int, *reasons: str) -> str:
    recipients = [{"address": "b@example.net", "delay_reason": reason} for reason in reasons]
    return json.dumps({"queue_name": "deferred", "arrival_time": arrival, "recipients": recipients})


def told(*mails: str) -> waiting.Waiting:
    lines = "".join(f"{line}\n" for line in mails)
    done = subprocess.run(["awk", waiting._AWK], input=lines, capture_output=True, text=True, check=True)
    return waiting.parse(done.stdout)


def test_the_oldest_arrival_and_the_commonest_reasons():
    found = told(mail(1795276649, "greylisted"), mail(1795276640, REFUSED), mail(1795276700, REFUSED), mail(1795279999))
    assert found == waiting.Waiting(1795276640.0, (REFUSED, "greylisted"))


def test_only_the_three_commonest_of_many_are_brought_along():
    found = told(*(mail(1795276649, f"reason {number}") for number in range(500)), *[mail(1795276649, REFUSED)] * 2)
    assert len(found.reasons) == 3


@pytest.mark.parametrize("text", ["", "\n", "sh: awk: not found\n", "\n3 not quoted\n", '0\n2 "cut'])
def test_no_answer_is_no_knowledge(text):
    assert waiting.parse(text) == waiting.Waiting(0.0, ())


def test_an_empty_queue_asks_nobody(tmp_path):
    script = waiting.script(str(tmp_path))
    done = subprocess.run(["sh", "-c", script], env={"PATH": "/nowhere:/usr/bin:/bin"}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
