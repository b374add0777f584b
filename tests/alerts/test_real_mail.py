"""Alert e-mail from the panel through real providers, good and bad, and the fallback when one does not take it."""

import re
from datetime import UTC, datetime

import pytest

from servers.alerts import delivering
from servers.alerts.message import Message
from servers.alerts.models import Route
from servers.alerts.ways import email, patience
from servers.remote.secret import Secret
from tests import factories
from tests.gateway.test_main_job import CANARY, LOGIN
from tests.gateway.test_main_job import account as account  # the fixture

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
pytestmark = [pytest.mark.fleet, pytest.mark.django_db, pytest.mark.usefixtures("panel_side")]


@pytest.fixture
def good(account):
    return factories.SmarthostFactory(name="Good", host=account.host, username=LOGIN, password=Secret(CANARY))


def bad(fault, bad_provider, **values):
    return factories.SmarthostFactory(name="Bad", host=bad_provider.host(fault), password=Secret(CANARY), **values)


def route(row, fallback=None, **values):
    values = {"recipients": "ops@example.net\nboss@example.net", "sender": "alerts@example.org"} | values
    ids = {"provider": row.pk, "fallback": fallback.pk if fallback else None}
    return factories.RouteFactory(way=Route.Way.EMAIL, address="", secret=None, **ids, **values)


@pytest.mark.parametrize(("port", "tls"), [(587, "starttls"), (465, "implicit"), (2525, "starttls")])
def test_it_signs_in_over_both_kinds_of_encryption(good, account, port, tls):
    good.port, good.tls = port, tls
    good.save()
    delivery = delivering.trial(route(good))
    assert delivery.state == "sent" and delivery.answer.startswith("Good: 250 2.0.0 Ok: queued as"), delivery.answer
    mails = account.wait_for_messages(2)
    assert {mail["Delivered-To"] for mail in mails} == {"ops@example.net", "boss@example.net"}
    assert "(using TLS" in str(mails[0]["Received"]) and LOGIN in str(mails[0]["Received"])


def test_hostile_and_foreign_words_stay_words(good, account):
    text = "Größe – 漢字 \r\nBcc: all@example.net\r\n.\r\nQUIT " + "long " * 400
    told = Message("opened", "x", True, text, "Do this.\n..\n" + "x" * 2000, "https://panel/", 1, ("wéb-1",), NOW)
    email.send(route(good, recipients="ops@example.net"), told)
    (mail,) = account.wait_for_messages(1)
    assert mail["Bcc"] is None and mail["To"] == "ops@example.net"
    assert mail["Subject"] == told.subject and len(told.subject) == 200
    assert mail.get_content().replace("\r\n", "\n").strip() == told.body.replace("\r\n", "\n").strip()
    (file,) = (account.root / "var/mail/fleet/all/new").iterdir()
    assert max(map(len, file.read_bytes().split(b"\n"))) < 999 and file.read_bytes().isascii()


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("expired", "certificate has expired"),
        ("wrongname", "Hostname mismatch"),
        ("untrusted", "self-signed certificate in certificate chain|unable to get local issuer"),
        ("nostarttls", "STARTTLS extension not supported"),
        ("brokentls", "SSL"),
        ("badlogin", "535 5.7.8 Error: authentication failed"),
        ("refuses", "554 5.7.1 No SMTP service here"),
        ("busy", "421 4.7.0 Try again later"),
        ("unverified", "554 Message rejected"),
        ("drops", "closed"),
        ("silent", "timed out"),
        ("stalls", "timed out"),
    ],
)
def test_what_one_provider_does_not_take_goes_through_the_fallback(
    good, account, bad_provider, monkeypatch, fault, answer
):
    if fault in ("silent", "stalls"):
        monkeypatch.setattr(email, "TIMEOUT", 4)
    delivery = delivering.trial(route(bad(fault, bad_provider), good))
    first, second = delivery.answer.split("\n")
    assert delivery.state == "sent" and second.startswith("Good: 250"), delivery.answer
    assert first.startswith("Bad: ") and re.search(answer, first), first
    assert len(account.wait_for_messages(2)) == 2
    signed_in = [entry for entry in bad_provider.seen(fault, "command") if entry["text"].startswith("AUTH")]
    assert bool(signed_in) is (fault in ("badlogin", "unverified", "drops", "stalls")), "no password without good TLS"


HOSTILE = ("webserver", "terminal", "hugebanner", "endless", "drips", "echoes", "garbage", "reversed", "boasts")


@pytest.mark.parametrize("fault", [*HOSTILE, "hangsup", "nodata", "forges", "lies"])
def test_a_hostile_server_keeps_nobody_waiting_and_its_words_are_only_words(
    good, account, bad_provider, monkeypatch, fault
):
    if fault in ("endless", "drips"):
        monkeypatch.setattr(patience, "TOTAL", 3)
    delivery = delivering.trial(route(bad(fault, bad_provider), good))
    assert delivery.state == "sent" and delivery.attempts == 1
    first, *second = delivery.answer.split("\n")
    assert bool(second) is (fault not in ("boasts", "lies")), "these two say yes"
    assert ("too slowly or too much" in first) is (fault in ("endless", "drips")), first
    assert len(first) < 600 and all(c.isprintable() for c in first), first
    assert "canary" not in first and "Y2FuYXJ5" not in first


@pytest.mark.parametrize("fault", ["expired", "wrongname", "untrusted"])
def test_a_certificate_nobody_wants_checked_is_not_checked(bad_provider, fault):
    delivery = delivering.trial(route(bad(fault, bad_provider, verify_certificate=False)))
    assert delivery.state == "sent", delivery.answer
    assert len(bad_provider.seen(fault, "message")) == 1


def test_a_recipient_that_is_refused_keeps_the_others_not_waiting(good, account):
    delivery = delivering.trial(route(good, recipients="unknown@example.net\nops@example.net"))
    assert delivery.state == "sent" and "not for all: 550" in delivery.answer
    assert [mail["Delivered-To"] for mail in account.wait_for_messages(1)] == ["ops@example.net"]


def test_when_nobody_takes_it_both_answers_are_kept(bad_provider):
    other = factories.SmarthostFactory(name="Other", host=bad_provider.host("refuses"))
    delivery = delivering.trial(route(bad("badlogin", bad_provider), other))
    assert delivery.state == "failed"
    assert [line.split(":")[0] for line in delivery.answer.split("\n")] == ["Bad", "Other"]
    assert CANARY not in delivery.answer
