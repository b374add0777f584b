"""A proof that ends after the sign-in, and reads when the certificate ends."""

from datetime import UTC, datetime, timedelta

from gateway.proof import prove
from tests.gateway.proof.localhost import Relay


def test_without_a_sender_the_conversation_ends_after_the_sign_in(host, provider):
    server = provider()
    proof = prove(host, Relay(port=server.port), sender="")
    assert proof.proven and [stage.name for stage in proof.stages][-1] == "auth"
    assert len(server.logins) == 1
    assert not any("MAIL FROM" in line for line in proof.transcript) and proof.transcript[-1] == "C: QUIT"


def test_the_end_of_a_checked_certificate_is_a_date(host, provider):
    until = prove(host, Relay(port=provider(days=9).port), sender="").certificate_until
    if host.way == "server":  # its openssl does not tell
        assert until is None
    else:
        assert timedelta(days=8) < until - datetime.now(UTC) < timedelta(days=10)


def test_a_certificate_nobody_checked_has_no_end(host, provider):
    assert prove(host, Relay(port=provider().port, verify=False), sender="").certificate_until is None
