"""What differs is named: five changes by hand, and what is wrong around a gateway."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway import drift
from gateway.postfix.plan import plan
from gateway.postfix.state import Space
from tests.gateway.postfix.test_golden import KEY, after, facts, wanted

CASE = json.loads((Path(__file__).parent / "postfix/golden/plans/clean-debian12.json").read_text())
WISH = wanted(CASE["wanted"])
CLEAN = facts(CASE["facts"])
INSTALLED = after(CLEAN, plan(CLEAN, WISH, KEY))
TABLES = INSTALLED.maps[0]
TAMPERED = replace(TABLES, digest="0" * 64, seal="0" * 64)


def edited(old: str, new: str) -> bytes:
    assert old.encode() in INSTALLED.main_cf
    return INSTALLED.main_cf.replace(old.encode(), new.encode())


def found(there) -> list[tuple[str, str]]:
    return [(one["slug"], one["text"]) for one in drift.differences(there, plan(there, WISH, KEY))]


def test_what_we_wrote_is_no_drift_and_neither_are_settings_that_are_not_ours():
    assert found(INSTALLED) == []
    assert found(replace(INSTALLED, main_cf=INSTALLED.main_cf + b"message_size_limit = 1\n")) == []


@pytest.mark.parametrize(
    ("by_hand", "slug", "text"),
    [
        ({"main_cf": edited("[smtp.provider.test]:587", "[else.test]:25")}, "settings", "main.cf differs: relayhost."),
        ({"main_cf": None}, "settings", "main.cf is gone."),
        ({"running": False}, "postfix", "Postfix does not run."),
        ({"enabled": False}, "boot", "Postfix would not start after a reboot."),
        ({"packages": CLEAN.packages}, "postfix", "Postfix is no longer installed."),
        ({"maps": (TAMPERED,)}, "tables", "The tables with the sign-in were changed."),
        ({"maps": ()}, "tables", "The tables with the sign-in are gone."),
        ({"maps": (TABLES, replace(TABLES, name="other"))}, "tables", "There are tables the panel did not write."),
        ({"manifest": {"damaged": True}}, "record", "The panel's record on the server is gone or damaged."),
    ],
)
def test_a_change_by_hand_is_named(by_hand, slug, text):
    assert (slug, text) in found(replace(INSTALLED, **by_hand))


def test_values_never_stand_in_a_finding():
    there = replace(INSTALLED, main_cf=edited("[smtp.provider.test]:587", "[canary.test]:25"))
    told = json.dumps(drift.differences(there, plan(there, WISH, KEY)))
    assert "canary" not in told and "smtp.provider.test" not in told


def test_a_newer_panel_is_told_from_a_hand():
    older = edited("smtp_tls_loglevel", "smtp_tls_loudness") if b"smtp_tls_loglevel" in INSTALLED.main_cf else None
    older = older or INSTALLED.main_cf.replace(b"relayhost", b"relay_host", 1)
    written = {**INSTALLED.manifest, "written": [sha256(older).hexdigest(), "x"]}
    there = replace(INSTALLED, main_cf=older, manifest=written)
    assert drift.panel_changed(there, plan(there, WISH, KEY))
    by_hand = replace(there, manifest=INSTALLED.manifest)
    assert not drift.panel_changed(by_hand, plan(by_hand, WISH, KEY))


@pytest.mark.parametrize(
    ("around", "state", "text"),
    [
        ({"queued": 1, "clock": 10_000, "oldest": 6000.0}, "warn", "One email waits, the oldest for 1 hour."),
        ({"queued": 7, "clock": 200_000, "oldest": 6000.0}, "fail", "7 emails wait, the oldest for 2 days."),
        ({"skew": -400.0}, "warn", "The server's clock is 6 minutes slow."),
        ({"space": (Space("/var/spool", 300_000_000, 9999),)}, "warn", "300 MB are free for the mail queue."),
        ({"space": (Space("/var/spool", 3_000_000, 9999),)}, "fail", "3 MB are free for the mail queue."),
        ({"space": (Space("/var/spool", 10**10, 12),)}, "warn", "Only 12 more files fit where the mail queue is."),
    ],
)
def test_what_is_wrong_around_a_gateway_is_told(around, state, text):
    assert [(one["state"], one["text"]) for one in drift.conditions(replace(INSTALLED, **around))] == [(state, text)]


REFUSED = "connect to smtp.provider.test[192.0.2.1]:587: Connection refused"
FULL = "host smtp.provider.test[192.0.2.1] said: 452 4.2.2 <a@example.net>: Mailbox full (in reply to RCPT TO command)"


def test_mail_that_the_provider_holds_up_is_told_after_a_second_try_and_one_recipients_is_not():
    waits = replace(INSTALLED, queued=2, clock=6301, oldest=6000.0, reasons=(FULL, REFUSED))
    (found,) = drift.conditions(waits)
    assert found["text"].startswith("2 emails wait, the oldest for 5 minutes. The SMTP server, or a firewall")
    assert found["area"] == "port" and not any(c.isdigit() for c in found["cause"]) and found["hint"]
    assert drift.conditions(replace(waits, clock=6299)) == []
    assert drift.conditions(replace(waits, reasons=(FULL,))) == []


def test_a_short_queue_a_true_clock_and_room_are_not_worth_a_word():
    quiet = replace(INSTALLED, queued=3, clock=7000, oldest=6000.0, skew=1.0)
    assert drift.conditions(replace(quiet, space=(Space("/var/spool", 10**10, None),))) == []
