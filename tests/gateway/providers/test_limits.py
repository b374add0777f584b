"""What a provider's limits leave for each of the servers that share an account."""

from dataclasses import replace

import pytest

from gateway.providers import presets
from gateway.providers.limits import share
from gateway.providers.preset import Limits

M365 = presets.get("m365")


@pytest.mark.parametrize(
    "servers, connections, delay", [(0, "2", "2s"), (1, "2", "2s"), (2, "1", "4s"), (4, "1", "8s"), (300, "1", "600s")]
)
def test_connections_and_rate_are_divided(servers, connections, delay):
    assert share(M365, servers).parameters == {
        "smtp_destination_concurrency_limit": connections,
        "smtp_destination_rate_delay": delay,
    }


def test_four_servers_read_what_is_left_for_each():
    assert share(M365, 4).sentences == (
        "Microsoft 365 allows 3 connections at once, 30 messages a minute and 10,000 a day for one account.",
        "4 servers share it, so each may use 1 connection, one message every 8 seconds and 2,500 a day.",
        "4 servers that send at the same moment still open more than 3 connections: mail waits and is tried again. "
        "Use several accounts, or a provider for application mail.",
    )


def test_one_server_is_told_what_the_account_allows():
    assert len(share(M365, 1).sentences) == 1


def test_no_documented_limit_means_no_parameter_and_no_sentence():
    assert share(presets.get("generic"), 50) == type(share(M365, 1))({}, ())


def test_limits_wider_than_postfix_has_itself_are_left_alone():
    wide = replace(M365, limits=Limits(connections=500, recipients=100))
    assert share(wide, 2).parameters == {}
    assert share(wide, 100).parameters == {"smtp_destination_concurrency_limit": "4"}


def test_rates_never_exceed_the_account_together():
    for per_minute in (1, 7, 30, 59, 600):
        for servers in (1, 2, 3, 10, 99):
            found = share(replace(M365, limits=Limits(per_minute=per_minute)), servers)
            delay = int(found.parameters["smtp_destination_rate_delay"].removesuffix("s"))
            assert servers * 60 / delay <= per_minute * 1.0001


def test_an_hourly_limit_becomes_a_delay_and_a_size_a_parameter():
    found = share(replace(M365, limits=Limits(per_hour=60, size=10_000_000, recipients=10)), 1)
    assert found.parameters == {
        "smtp_destination_rate_delay": "60s",
        "smtp_destination_recipient_limit": "10",
        "message_size_limit": "10000000",
    }
