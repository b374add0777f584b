"""What is one alert, when there is news, and when somebody sleeps: tables of cases."""

from datetime import UTC, datetime, time, timedelta

import pytest

from servers.alerts import addresses, grouping, quiet

T = datetime(2026, 3, 10, 12, tzinfo=UTC)
S, M = timedelta(seconds=1), timedelta(minutes=1)
A = ("gateway-failing", "auth", "Main", "web-1: 535 at 192.0.2.1")


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (A, A, True),
        (A, ("gateway-failing", "auth", "Main", "quite other words"), True),
        (A, ("gateway-failing", "auth", "Other", A[3]), False),
        (A, ("gateway-failing", "tls", "Main", A[3]), False),
        (A, ("gateway-drifted", "auth", "Main", A[3]), False),
        (("k", "", "", "web-1: down", ("web-1", "192.0.2.1")), ("k", "", "", "web-2: down", ("web-2", "")), True),
        (("k", "", "", "web-1: down", ("web-1",)), ("k", "", "", "web-1: up", ("web-1",)), False),
        (("k", "", "", "a bad day", ("a",)), ("k", "", "", "b bad day", ("b",)), True),
    ],
)
def test_what_is_one_alert(one, two, same):
    assert (grouping.key(*one) == grouping.key(*two)) is same


def test_a_server_named_a_is_not_cut_out_of_words():
    assert grouping.nameless("a bad day for aa and a.example.com", ("a",)).count("the server") <= 2
    assert "bad day" in grouping.nameless("a bad day", ("a",)) and "aa" in grouping.nameless("a of aa", ("a",))


@pytest.mark.parametrize(
    ("text", "count", "name", "title"),
    [
        ("Main refuses the password.", 300, "", "Main refuses the password: 300 servers"),
        ("Main refuses the password.", 1, "web-1", "Main refuses the password: web-1"),
        ("web-1 is out of reach", 1, "web-1", "web-1 is out of reach"),
        ("No worker is present", 1, "", "No worker is present"),
    ],
)
def test_the_title(text, count, name, title):
    assert grouping.title(text, count, name) == title


@pytest.mark.parametrize(
    ("opened", "closed", "count", "told", "told_at", "now", "news"),
    [
        (T, None, 1, 0, None, T + 59 * S, ""),  # others may follow for the same cause
        (T, None, 300, 0, None, T + 60 * S, "opened"),
        (T, None, 300, 300, T, T + 600 * M, ""),  # told once
        (T, None, 301, 300, T, T + 29 * M, ""),
        (T, None, 301, 300, T, T + 30 * M, "more"),
        (T, T + 30 * S, 1, 0, None, T + 90 * S, ""),  # over before anybody was told
        (T, T + M, 1, 1, T + M, T + 2 * M, "closed"),
    ],
)
def test_when_there_is_news(opened, closed, count, told, told_at, now, news):
    assert grouping.news(opened, closed, count, told, told_at, now) == news


def at(*numbers):
    return datetime(2026, *numbers, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "start", "end", "zone", "until"),
    [
        (at(3, 10, 23), time(22), time(7), "UTC", at(3, 11, 7)),
        (at(3, 10, 6, 59), time(22), time(7), "UTC", at(3, 10, 7)),
        (at(3, 10, 7), time(22), time(7), "UTC", None),
        (at(3, 10, 21, 59), time(22), time(7), "UTC", None),
        (at(3, 10, 13), time(12), time(14), "UTC", at(3, 10, 14)),
        (at(3, 10, 21, 30), time(22), time(7), "Europe/Berlin", at(3, 11, 6)),
        (at(7, 10, 20, 30), time(22), time(7), "Europe/Berlin", at(7, 11, 5)),
        (at(3, 29, 0, 30), time(22), time(7), "Europe/Berlin", at(3, 29, 5)),  # clocks go forward in this night
        (at(3, 10, 13), time(12), time(12), "UTC", None),
        (at(3, 10, 13), None, None, "UTC", None),
    ],
)
def test_quiet_hours(now, start, end, zone, until):
    assert quiet.until(now, start, end, zone) == until


@pytest.mark.parametrize(
    ("address", "local", "allowed"),
    [
        ("93.184.216.34", False, True),
        ("2606:2800:220:1::1", False, True),
        ("10.0.0.1", False, False),
        ("10.0.0.1", True, True),
        ("127.0.0.1", False, False),
        ("127.0.0.1", True, True),
        ("::1", False, False),
        ("::ffff:10.0.0.1", False, False),
        ("100.64.0.1", False, False),
        ("169.254.169.254", True, False),
        ("::ffff:169.254.169.254", True, False),
        ("fd00:ec2::254", True, False),
        ("100.100.100.200", True, False),
        ("fe80::1%eth0", True, False),
        ("0.0.0.0", True, False),
        ("224.0.0.1", True, False),
        ("2002:a00:1::1", False, False),  # 10.0.0.1 in 6to4
    ],
)
def test_which_addresses_get_an_alert(address, local, allowed):
    if allowed:
        addresses.judge(address, local=local)
    else:
        with pytest.raises(addresses.Refused):
            addresses.judge(address, local=local)
