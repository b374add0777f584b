"""One no is a doubt, two are a fact; what could not be tried acquits nobody; nobody is hammered."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway import acceptance
from gateway.proof import Proof, Stage
from gateway.providers.replies import explain

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
REFUSED = "535 5.7.8 Authentication credentials invalid"
EXPIRED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)"


def proof(name: str = "auth", state: str = "ok", evidence: str = "235 ok") -> Proof:
    meaning = explain(evidence) if state == "fail" else None
    return Proof((Stage("tcp", "ok", ""), Stage(name, state, evidence, 1, meaning)), "tunnel")


def tried(*proofs: Proof) -> list[dict]:
    found: list[dict] = []
    for one in proofs:
        found = acceptance.weigh(found, one)
    return found


NO, YES = proof(state="fail", evidence=REFUSED), proof()
AWAY = proof("tcp", "fail", "connect to smtp.example.com:587: Connection timed out")
LATER = proof(state="fail", evidence="454 4.7.0 Temporary authentication failure")
BUSY = proof(state="fail", evidence="535 5.7.0 too many login attempts")
ENDED = proof("tls", "fail", EXPIRED)
NO_WAY = proof(state="fail", evidence="The server offers no sign-in. It offers: SIZE 10")


@pytest.mark.parametrize(
    ("proofs", "slug", "state", "tries"),
    [
        ((YES,), "", "", ""),
        ((proof(state="skipped", evidence=""),), "", "", ""),
        ((NO,), "sign-in", "unknown", "1"),
        ((NO, NO), "sign-in", "fail", "2"),
        ((NO, NO, NO), "sign-in", "fail", "3"),
        ((NO, YES, NO), "sign-in", "unknown", "1"),
        ((NO, AWAY), "sign-in", "unknown", "1"),
        ((NO, NO, AWAY), "sign-in", "fail", "2"),
        ((NO, NO, LATER), "sign-in", "fail", "2"),
        ((NO, NO, YES), "", "", ""),
        ((AWAY,), "sign-in", "unknown", None),
        ((AWAY, AWAY, AWAY), "sign-in", "unknown", None),
        ((LATER, LATER), "sign-in", "unknown", None),
        ((BUSY, BUSY, BUSY), "sign-in", "unknown", None),
        ((NO_WAY, NO_WAY), "sign-in", "fail", "2"),
        ((proof(state="unknown", evidence="only Postfix can try"),), "sign-in", "unknown", None),
        ((ENDED,), "certificate", "unknown", "1"),
        ((ENDED, ENDED), "certificate", "fail", "2"),
        ((NO, ENDED), "certificate", "unknown", "1"),
    ],
)
def test_what_a_row_of_tries_says(proofs, slug, state, tries):
    found = tried(*proofs)
    if not slug:
        assert found == []
        return
    (one,) = found
    assert (one["slug"], one["state"], one.get("tries")) == (slug, state, tries)
    assert one["text"] and one["hint"]
    assert acceptance.confirmed(found) == (one if state == "fail" else None)
    assert acceptance.lasting(found) == found


def test_a_refusal_speaks_the_catalogues_words():
    (one,) = tried(NO, NO)
    assert one["text"] == explain(REFUSED).cause and one["hint"] == explain(REFUSED).fix
    assert tried(NO)[0]["text"].endswith("That was once: the next look tries again.")


def test_words_nobody_foresaw_are_shown_as_they_are():
    (one,) = tried(proof(state="fail", evidence="550 the moon is wrong"))
    assert "550 the moon is wrong" in one["text"]


def test_another_servers_refusal_is_told_and_does_not_hide_ones_own():
    assert acceptance.elsewhere([])[0]["text"] == acceptance.ELSEWHERE
    assert acceptance.elsewhere(tried(NO, NO)) == tried(NO, NO)


@pytest.mark.parametrize(
    ("left", "state", "words"),
    [
        (timedelta(days=15), "", ""),
        (timedelta(days=13, hours=1), "warn", "ends in 13 days, on 4 December 2026."),
        (timedelta(days=1, hours=2), "warn", "ends tomorrow"),
        (timedelta(hours=3), "warn", "ends in less than a day"),
        (timedelta(0), "fail", "ended on 21 November 2026."),
    ],
)
def test_a_certificates_end_is_told_two_weeks_before(left, state, words):
    found = acceptance.certificate(NOW + left, NOW)
    assert [one["state"] for one in found] == ([state] if state else [])
    assert all(words in one["text"] for one in found)
    assert acceptance.lasting(found) == []
    assert acceptance.certificate(None, NOW) == []


def test_a_day_brings_each_server_one_turn_and_the_fleet_is_spread_over_it():
    quarter = timedelta(minutes=15)
    hours = set()
    for place in range(0, 86400, 977):
        last, turns = NOW - DAY, []
        for n in range(4 * 24 * 5):
            at = NOW + n * quarter
            if acceptance.due(at, last, place, DAY):
                turns.append(at)
                last = at
        assert len(turns) in (5, 6)
        assert all(DAY * 7 / 8 <= b - a <= DAY * 9 / 8 for a, b in zip(turns, turns[1:], strict=False))
        hours.add(turns[1].hour)
    assert len(hours) == 24


def test_what_was_never_tried_waits_for_its_turn_and_a_missed_turn_is_not_made_up_at_once():
    place = int(NOW.timestamp())
    assert acceptance.due(NOW, None, place, DAY)
    assert not acceptance.due(NOW + DAY / 4, None, place, DAY)
    assert not acceptance.due(NOW + DAY / 4, NOW - DAY, place, DAY)
    assert acceptance.due(NOW + DAY / 4, NOW - 3 * DAY, place, DAY)


def test_a_refused_account_is_asked_again_soon_once_and_then_ever_more_seldom():
    waits = [acceptance.pause(tries) for tries in range(1, 8)]
    assert waits[0] <= timedelta(minutes=30) and waits == sorted(waits) and waits[-1] == DAY
    assert not acceptance.due(NOW, NOW - timedelta(minutes=59), 0, DAY, tries=2)
    assert acceptance.due(NOW, NOW - timedelta(minutes=61), 0, DAY, tries=2)


def test_a_refusal_knows_where_it_is_mended():
    assert tried(NO, NO)[0]["area"] == explain(REFUSED).area == "credentials"
