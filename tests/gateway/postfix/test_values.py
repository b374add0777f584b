"""What the values refuse, and what a message and its verdict are."""

import pytest

from gateway.postfix import facts, files, testmail
from gateway.postfix.spec import Invalid, Relay
from servers.remote.secret import Secret

GOOD = {"host": "smtp.example.net", "port": 587, "username": "u", "password": Secret("p")}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "[smtp.example.net]:587"),
        ("host", "smtp.example.net\nmynetworks = 0.0.0.0/0"),
        ("host", "-oops"),
        ("host", ""),
        ("port", 0),
        ("port", 65536),
        ("port", True),
        ("tls", "maybe"),
        ("username", " u"),
        ("username", "u\r"),
        ("username", "\udc80"),
        ("password", None),
        ("password", Secret("")),
        ("password", Secret("a\nb")),
        ("password", Secret("a\0b")),
        ("password", Secret(b"\xff")),
        ("password", Secret("x" * 501)),
        ("sending_domain", "localhost"),
        ("sending_domain", "example.org\n"),
        ("helo_name", "host"),
        ("root_address", "-f@example.org"),
        ("root_address", "a,b@example.org"),
        ("rewrite", "@"),
        ("rewrite", "someone"),
        ("limits", (("smtp_destination_rate_delay", "2"),)),
        ("limits", (("smtp_destination_rate_delay", "0s"),)),
        ("limits", (("smtp_destination_concurrency_limit", "2s"),)),
        ("limits", (("message_size_limit", "1\nmynetworks = 0.0.0.0/0"),)),
        ("limits", (("relayhost", "1"),)),
        ("limits", (("message_size_limit", "1"), ("message_size_limit", "2"))),
    ],
)
def test_a_relay_names_the_field_it_refuses(field, value):
    with pytest.raises(Invalid) as refused:
        Relay(**{**GOOD, field: value})
    assert refused.value.field == field and refused.value.rule.endswith(".")


def test_a_relay_knows_the_pause_its_limits_ask_for():
    assert Relay(**GOOD).delay == 0
    assert Relay(**GOOD, limits=(("smtp_destination_rate_delay", "8s"), ("message_size_limit", "9"))).delay == 8


def test_nexthop_is_never_looked_up_as_mx():
    assert Relay(**GOOD).nexthop == "[smtp.example.net]:587"
    assert Relay(**{**GOOD, "host": "2001:db8::25"}).nexthop == "[ipv6:2001:db8::25]:587"


@pytest.mark.parametrize("tail", [" ", "\t", "\v", "\f"])
def test_white_space_at_the_end_of_a_password_gets_a_guard(tail):
    maps = files.render(Relay(**{**GOOD, "password": Secret(f"p{tail}")}), (), b"k")
    assert maps.password_table.startswith("pipemap:{texthash:")
    assert maps.contents["sasl_passwd"].reveal() == f"[smtp.example.net]:587 u:p{tail}\x01\n".encode()


def test_the_directory_says_nothing_about_the_password():
    one, two = (files.render(Relay(**GOOD), (), key).generation for key in (b"a", b"b"))
    assert one != two and repr(Secret("p")) not in one


def test_an_answer_that_is_cut_or_somebody_elses_is_no_observation():
    for stdout in (b"", b"@nonce\nbm9uY2UtMQ==\n.\n", b"@nonce\nb3RoZXI=\n.\n@end\nZW5kCg==\n.\n"):
        with pytest.raises(facts.Incomplete):
            facts.parse(stdout, "nonce-1")


def test_a_message_cannot_carry_headers_of_its_own():
    for values in (
        ("a@b.test\nBcc: c@d.test", "c@d.test", "s"),
        ("a@b.test", "c@d.test\n", "s"),
        ("a@b.test", "c@d.test", "s\nBcc: x@y.test"),
        ("-f@b.test", "c@d.test", "s"),
    ):
        with pytest.raises(Invalid):
            testmail.message(*values, "body", False, "token-12345678")
    mail = testmail.message("a@b.test", "c@d.test", "Grüße", "a\r\nb", True, "token-12345678")
    assert b"Message-ID: <token-12345678@b.test>" in mail and b"\r" not in mail and b"text/html" in mail


STATUS = (
    "Nov 21 07:00:00 h postfix/{}[1]: 4jWXDW0WpczFCWV: to=<c@d.test>, relay={}, delay=1.5, delays=0/0/0/0, "
    "dsn={}, status={} ({})"
)


@pytest.mark.parametrize(
    ("line", "delivery", "provider_id"),
    [
        (("smtp", "r.test[1.2.3.4]:587", "2.0.0", "sent", "250 2.0.0 Ok: queued as FAKE123"), "sent", "FAKE123"),
        (("smtp", "r.test[1.2.3.4]:587", "2.0.0", "sent", "250 Ok 0102018c-1b2c"), "sent", "0102018c-1b2c"),
        (("smtp", "none", "4.4.1", "deferred", "connect to r.test[1.2.3.4]:587: Connection refused"), "deferred", ""),
        (("smtp", "r.test[1.2.3.4]:587", "5.1.1", "bounced", "host said: 550 5.1.1 no"), "bounced", ""),
        (("discard", "none", "2.0.0", "sent", "bounce"), "bounced", ""),
        (("local", "local", "2.0.0", "sent", "delivered to mailbox"), "bounced", ""),
    ],
)
def test_sent_needs_the_word_of_another_server(line, delivery, provider_id):
    found = testmail.verdict(["::sending 1", "::id 4jWXDW0WpczFCWV", STATUS.format(*line)])
    assert (found.delivery, found.provider_id, found.queue_id) == (delivery, provider_id, "4jWXDW0WpczFCWV")


def test_no_status_in_time_is_queued_and_a_refusal_is_not_sent():
    assert testmail.verdict(["::sending 1", "::id 4jWXDW0WpczFCWV"]).delivery == "queued"
    refused = testmail.verdict(["::sending 1", "::refused 75 postdrop: warning: unable to look up"])
    assert refused.delivery == "bounced" and "postdrop" in refused.reply
