"""The Big List of Naughty Strings where others write: replies, log lines, DNS. Nothing breaks or is believed."""

import json
import re

import pytest

from gateway.deliverability.check import Scope, check
from gateway.deliverability.domains import organisation
from gateway.postfix import logline, testmail
from gateway.proof import wire
from gateway.providers import replies
from tests.gateway.deliverability.zone import Zone
from tests.servers import naughty

# Control characters but tab and newline, and those that hide or reverse text.
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
LINE = (
    "Nov 21 10:00:00 web-1 postfix/smtp[42]: 4jWxz45mvszQD: to=<a@example.net>, relay=x.example[192.0.2.1]:587, "
    "delay=1, delays=0/0/0/1, dsn=5.0.0, status=bounced (host x.example[192.0.2.1] said: 554 {})"
)


def test_a_reply_is_explained_whatever_it_says():
    for text in naughty.strings():
        for reply in (text, f"554 {text}", f"535 5.7.8 {text}", f"421-4.7.0 {text}\r\n421 4.7.0 {text}"):
            found = replies.explain(reply)
            assert found.cause and found.fix, text
            assert reply == text or found.slug not in ("accepted", "family-success"), reply


def test_bytes_are_explained_too():
    for text in naughty.strings():
        assert replies.explain(b"535 5.7.8 " + text.encode("utf-16-le", "surrogatepass")).area == "credentials"


def test_a_log_line_is_read_whatever_was_replied():
    for text in naughty.strings():
        logline.parse(text)
        words = " ".join(text.splitlines())
        event = logline.parse(LINE.format(words))
        assert event and (event.status, event.queue_id, event.relay) == (
            *("bounced", "4jWxz45mvszQD"),
            "x.example[192.0.2.1]:587",
        ), text


def test_no_reply_makes_a_delivery():
    lines = ["::id 4jWxz45mvszQD"]
    for text in naughty.strings():
        assert testmail.verdict([*lines, LINE.format(" ".join(text.splitlines()))]).delivery == "bounced", text
        assert testmail.verdict([*lines, *text.splitlines()]).delivery == "queued", text


def test_a_reply_on_the_wire_becomes_plain_text():
    for text in naughty.strings():
        raw = b"535 " + text.encode("utf-8", "surrogatepass").replace(b"\n", b" ")
        heard: list[str] = []
        reply = wire.read_reply(iter([raw]).__next__, heard.append)
        assert reply.code == 535 and len(reply.text) <= wire.SHOWN + 1
        assert not HARMFUL.search(reply.text) and not HARMFUL.search(heard[0]), text


@pytest.mark.parametrize("name", ["example.org", "s1._domainkey.example.org", "_dmarc.example.org"])
@pytest.mark.parametrize("start", ["", "v=spf1 ", "v=DKIM1; p=", "v=DMARC1; p="])
def test_a_record_is_judged_whatever_it_holds(name, start):
    for text in naughty.strings():
        record = start + text.encode("utf-8", "surrogatepass").decode("latin-1")
        zone = Zone({"example.org": [{"MX": [10, "mx.example.org"]}], name: [{"TXT": record}]})
        report = check("example.org", zone, (), organisation, Scope(selectors=("s1",)))
        assert (name, "TXT") in zone.asked
        kept = json.dumps(report.document(), ensure_ascii=False)
        assert not HARMFUL.search(kept) and "\\u00" not in kept, text
        assert report.findings, text
