"""What a provider's limits leave for each of the servers that share an account."""

from dataclasses import replace

import pytest

from gateway.providers import presets
from gateway.providers.limits import PATIENCE, bracket, share
from gateway.providers.preset import Limits

M365 = presets.get("m365")
FAILURES = {"smtp_destination_concurrency_failed_cohort_limit": "10"}


def limited(**known):
    return replace(M365, limits=Limits(**known))


def test_a_fleet_that_grows_one_by_one_is_divided_anew_a_few_times():
    assert [bracket(servers) for servers in (0, 1, 2, 3, 4, 5, 8, 9, 500)] == [1, 1, 2, 4, 4, 8, 8, 16, 512]
    assert len({bracket(servers) for servers in range(1001)}) == 11


@pytest.mark.parametrize(
    "servers, divisor, delay", [(0, 1, "2s"), (1, 1, "2s"), (2, 2, "4s"), (3, 4, "8s"), (4, 4, "8s"), (40, 32, "60s")]
)
def test_a_rate_is_divided_by_the_bracket_and_implies_one_connection(servers, divisor, delay):
    found = share(M365, servers)
    assert found.divisor == divisor
    assert found.parameters == {"smtp_destination_rate_delay": delay} | FAILURES


@pytest.mark.parametrize("servers, connections", [(1, "9"), (2, "4"), (3, "2"), (16, "1"), (100, "1")])
def test_connections_are_divided_and_one_is_left_for_people(servers, connections):
    found = share(limited(connections=10), servers)
    assert found.parameters == {"smtp_destination_concurrency_limit": connections} | FAILURES


def test_three_servers_read_what_is_left_for_each():
    assert share(M365, 3).sentences == (
        "Microsoft 365 allows 3 connections at once, 30 messages a minute and 10,000 messages a day for one account.",
        "3 servers share it and 4 are reckoned with, so that one more changes nothing: each may hand over one message "
        "every 8 seconds and have 2,500 a day.",
    )


def test_more_servers_than_connections_are_told_that_mail_waits():
    assert share(M365, 4).sentences[1:] == (
        "4 servers share it: each may hand over one message every 8 seconds and have 2,500 a day.",
        "4 servers that send at the same moment may still open more than 3 connections: mail waits and is tried again. "
        "Use several accounts, or a provider for application mail.",
    )


def test_one_server_is_told_what_the_account_leaves_for_it():
    assert share(M365, 1).sentences[1:] == (
        "A server that has it to itself may hand over one message every 2 seconds.",
    )
    assert share(limited(connections=3), 1).each == "open 2 connections at once"
    assert share(limited(per_minute=60), 1).each == "hand over one message every second"


def test_no_documented_limit_means_no_parameter_and_no_sentence():
    found = share(presets.get("generic"), 50)
    assert (found.divisor, found.parameters, found.each, found.sentences) == (0, {}, "", ())


def test_what_only_people_can_keep_is_not_told_to_postfix():
    found = share(limited(per_day=2000, recipients=100), 3)
    assert (found.divisor, found.parameters) == (0, {})
    assert found.sentences[1] == "3 servers share it: each may have 666 a day."


def test_limits_wider_than_postfix_has_itself_are_left_alone():
    wide = limited(connections=500, recipients=100)
    assert (share(wide, 2).parameters, share(wide, 2).divisor) == ({}, 0)
    assert share(wide, 100).divisor == 128
    assert share(wide, 100).parameters == {"smtp_destination_concurrency_limit": "3"} | FAILURES


def test_rates_never_exceed_the_account_together_before_patience_ends():
    for per_minute in (1, 7, 30, 59, 600):
        for servers in (1, 2, 3, 10, 99):
            found = share(limited(per_minute=per_minute), servers)
            assert 1 <= found.delay <= PATIENCE
            small = any("too small" in sentence for sentence in found.sentences)
            assert small or servers * 60 / found.delay <= per_minute * 1.0001


def test_no_number_of_servers_makes_one_wait_longer_than_a_minute_and_the_account_is_called_too_small():
    found = share(M365, 500)
    assert found.delay == PATIENCE
    assert found.sentences[-1].startswith(
        "The account is too small for so many: a fair share would be one message every 1,024 seconds, and the panel "
        "lets no server pause longer than 60."
    )


def test_the_divisor_moves_only_with_the_parameters():
    for known in ({"per_minute": 30}, {"connections": 10}, {"connections": 500}, {"per_hour": 7, "size": 9}, {}):
        found = [share(limited(**known), servers) for servers in range(1, 600)]
        kinds = {(one.divisor, *one.parameters.items()) for one in found}
        assert len(kinds) == len({one.divisor for one in found}) == len({tuple(k[1:]) for k in kinds})
        assert all(share(limited(**known), one.divisor).parameters == one.parameters for one in found if one.divisor)


def test_a_rate_finer_than_seconds_is_rounded_to_the_safe_side_and_said():
    found = share(limited(per_minute=600), 1)
    assert found.parameters["smtp_destination_rate_delay"] == "1s"
    assert "no shorter pause than a second" in found.sentences[-1]
    assert share(limited(per_minute=600), 16).sentences[-1].startswith("16 servers share it")


def test_an_hourly_limit_becomes_a_delay():
    assert share(limited(per_hour=120, recipients=10), 1).parameters == {
        "smtp_destination_rate_delay": "30s",
        **FAILURES,
        "smtp_destination_recipient_limit": "10",
    }


def test_one_recipient_a_message_would_undo_the_pace_and_is_left_out_beside_it():
    assert "smtp_destination_recipient_limit" not in share(limited(per_minute=30, recipients=1), 1).parameters
    assert share(limited(recipients=1), 1).parameters == {"smtp_destination_recipient_limit": "1"}


@pytest.mark.parametrize("size, file", [(10_000_000, "10200000"), (150_000_000, "51200000")])
def test_mail_the_provider_takes_fits_and_no_mailbox_is_smaller_than_a_mail(size, file):
    found = share(limited(size=size), 7)
    assert (found.divisor, found.parameters) == (1, {"message_size_limit": file})
