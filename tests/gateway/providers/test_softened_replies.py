"""What our own reply filter makes of a refusal is read as that refusal still: Postfix logs the changed codes only."""

import json
import re
from pathlib import Path

import pytest

from gateway.postfix import files
from gateway.postfix.spec import Relay
from gateway.providers import replies

GOLDEN = [
    json.loads(line)
    for name in ("replies.jsonl", "replies_met.jsonl")
    for line in (Path(__file__).parent / "golden" / name).read_text("utf-8").splitlines()
]
TABLE = files.render(Relay(host="smtp.example.com", port=587), (), b"").contents["reply_filter"].decode()
GUARD, *ROWS = [
    (re.compile(pattern, re.IGNORECASE), re.sub(r"\$\{(\d)\}", r"\\g<\1>", result))
    for pattern, result in re.findall(r"^(?:if )?/(.*)/(?: (.+))?$", TABLE, re.MULTILINE)
]
REPLY = re.compile(r"5\d\d[ -].*", re.DOTALL)


def softened(text: str) -> str:
    """`text`, a reply or a log line that quotes one, as it reads behind the filter (regexp_table(5))."""
    reply = REPLY.search(text)
    if reply is None or not GUARD[0].search(reply[0]):
        return text
    changed = (re.sub(pattern, result, reply[0]) for pattern, result in ROWS if pattern.search(reply[0]))
    return text[: reply.start()] + next(changed, reply[0])


CHANGED = [case for case in GOLDEN if softened(case[3]) != case[3]]


def test_the_filter_is_read_as_postfix_reads_it():
    assert softened("530 5.7.0 Authentication Required") == "430 4.7.0 Authentication Required"
    assert softened("host x said: 550 Relaying denied") == "host x said: 450 4.7.0 Relaying denied"
    assert softened("550 5.1.1 no such user") == "550 5.1.1 no such user"
    assert len(CHANGED) > 40


@pytest.mark.parametrize("_, preset, slug, text", CHANGED)
def test_a_softened_refusal_is_explained_as_the_refusal(_, preset, slug, text):
    assert replies.explain(softened(text), preset).slug == slug
