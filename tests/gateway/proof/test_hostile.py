"""SMTP servers that are broken or mean: the right cause is named in bounded time, by both ways."""

import socket
import struct
import time

import pytest

from gateway.proof import prove
from gateway.proof.stream import LiveWire
from gateway.proof.wire import WireFault
from servers.remote.errors import LostContact
from servers.remote.secret import MASK
from tests.gateway.proof.localhost import PASSWORD, Bad, LocalHost, Relay, scripted

SENDER = "root@example.com"
EHLO = b"250-localhost\r\n250 AUTH PLAIN LOGIN\r\n"


def proved(host, act, tls="none", patience=15):
    with Bad(act) as server:
        started = time.monotonic()
        proof = prove(host, Relay(port=server.port, tls=tls), sender=SENDER, patience=patience)
        assert time.monotonic() - started < 30
    return proof


def silence(connection):
    connection.recv(1)
    time.sleep(60)


@pytest.mark.parametrize("tls", ["starttls", "none"])
def test_silence_is_a_missing_greeting(host, tls):
    proof = proved(host, silence, tls, patience=2)
    assert proof.blocker.name == "greeting" and proof.blocker.explanation.slug == "greeting-timed-out", proof


def test_silence_after_the_greeting_is_another_cause(host):
    def act(connection):
        connection.sendall(b"220 hello\r\n")
        silence(connection)
        silence(connection)

    proof = proved(host, act, patience=2)
    assert proof.blocker.name == "greeting" and proof.blocker.explanation.slug == "conversation-timed-out"


def test_starttls_on_an_implicit_port_is_named(host, provider):
    """The server waits for TLS and says nothing: the greeting never comes."""
    relay = Relay(port=provider(implicit=True).port)
    proof = prove(host, relay, sender=SENDER, patience=2)
    assert proof.blocker.name == "greeting" and proof.blocker.explanation.slug == "greeting-timed-out", proof


@pytest.mark.parametrize(
    "greeting, slug",
    [
        (b"421 4.7.0 Too many connections, try again later\r\n", "too-many-connections"),
        (b"554 5.7.1 No SMTP service here\r\n", "no-mail-from-here"),
    ],
)
def test_a_refusing_greeting_is_kept_word_for_word(host, greeting, slug):
    proof = proved(host, scripted(greeting, {}))
    assert proof.blocker.name == "greeting" and proof.blocker.evidence == greeting.decode().strip()
    assert proof.blocker.explanation.slug == slug


@pytest.mark.parametrize(
    "words, slug",
    [
        (b"530 5.7.0 Authentication Required", "sign-in-missing"),
        (b"454 4.7.0 Temporary authentication failure", "sign-in-unavailable"),
        (b"535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 p=BadCredentials", "google-password-refused"),
    ],
)
def test_sign_in_replies_are_kept_word_for_word(host, words, slug):
    proof = proved(host, scripted(b"220 hi\r\n", {b"EHLO": EHLO, b"AUTH": words + b"\r\n"}))
    assert proof.blocker.name == "auth" and proof.blocker.explanation.slug == slug
    assert proof.blocker.evidence == words.decode().replace("\r\n", "\n")


def test_a_temporary_no_to_the_sender_is_a_warning(host):
    replies = {b"EHLO": EHLO, b"AUTH": b"235 ok\r\n", b"MAIL": b"451 4.3.0 Later\r\n"}
    proof = proved(host, scripted(b"220 hi\r\n", replies))
    assert proof.ok and proof.stages[-1].state == "warn" and proof.stages[-1].explanation


def test_other_ways_to_sign_in_are_left_to_postfix(host):
    offer = {b"EHLO": b"250-localhost\r\n250 AUTH CRAM-MD5 DIGEST-MD5\r\n"}
    proof = proved(host, scripted(b"220 hi\r\n", offer))
    assert proof.ok and not proof.proven
    assert (proof.stages[-1].name, proof.stages[-1].state) == ("auth", "unknown")


def test_only_tokens_offered_is_a_failure(host):
    proof = proved(host, scripted(b"220 hi\r\n", {b"EHLO": b"250-localhost\r\n250 AUTH XOAUTH2\r\n"}))
    assert proof.blocker.name == "auth" and proof.blocker.explanation.slug == "no-usable-sign-in-method"


def test_a_dropped_connection_is_named(host):
    proof = proved(host, scripted(b"220 hi\r\n", {b"EHLO": None}))
    assert proof.blocker.name == "greeting" and proof.blocker.explanation.slug == "connection-lost", proof


@pytest.mark.parametrize("answer", [b"this is no TLS record\r\n" * 4, b""], ids=["garbage", "hung up"])
def test_what_breaks_encryption_after_starttls_does_not_blame_the_mode(host, answer):
    def act(connection):
        for words in (b"220 hi\r\n", b"250-localhost\r\n250 STARTTLS\r\n", b"220 go\r\n"):
            connection.sendall(words)
            connection.recv(1000)
        connection.sendall(answer)

    proof = proved(host, act, "starttls")
    assert proof.blocker.name == "tls" and proof.blocker.explanation.slug == "tls-broken-off", proof


def test_a_reset_connection_is_named(host):
    def act(connection):
        connection.sendall(b"220 hi\r\n")
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert proved(host, act).blocker.explanation.slug == "connection-lost"


def flood(chunk, times):
    def act(connection):
        for _ in range(times):
            connection.sendall(chunk)
        time.sleep(1)

    return act


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(flood(b"220-more\r\n", 200_000), id="endless greeting"),
        pytest.param(flood(b"2" * 65536, 160), id="10 MB line"),
        pytest.param(flood(b"HTTP/1.1 200 OK\r\n\r\n<html>\x1b[31mhello</html>\r\n", 1), id="web server"),
        pytest.param(flood(b"\x00\xff\xfe\r\n", 1), id="noise"),
        pytest.param(flood(b"SSH-2.0-OpenSSH_9.2\r\n", 1), id="ssh"),
        pytest.param(flood(b"\r\n", 1), id="empty line"),
    ],
)
def test_what_is_not_smtp_is_named_and_shown_safely(host, act):
    proof = proved(host, act)
    assert proof.blocker.name == "greeting" and proof.blocker.evidence.startswith("The answer is not SMTP"), proof
    assert len(repr(proof)) < 20_000 and "\\x1b" not in repr(proof)


def test_a_slow_drip_ends_at_the_deadline():
    """Each byte resets the silence, so only the deadline for the whole check ends it."""

    def drip(connection):
        while True:
            connection.sendall(b"2")
            time.sleep(0.1)

    with Bad(drip) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        live = LiveWire(sock, None, "x", lambda line: None, step=1, total=2)
        started = time.monotonic()
        with pytest.raises(WireFault, match="no answer"):
            live.reply()
        assert time.monotonic() - started < 4


def test_an_echoed_password_is_masked(host):
    replies = {b"EHLO": EHLO, b"AUTH": f"535 5.7.8 wrong password {PASSWORD}\r\n".encode()}
    proof = proved(host, scripted(b"220 hi\r\n", replies))
    assert MASK in proof.blocker.evidence and PASSWORD not in repr(proof)


def test_text_before_encryption_is_not_believed_after_it():
    """A man in the middle may add replies behind the answer to STARTTLS; they are dropped, so no reply is forged."""
    greeting, offer = b"220 hi\r\n", b"250-x\r\n250 STARTTLS\r\n"
    replies = {b"EHLO": offer, b"STARTTLS": b"220 go\r\n250 AUTH PLAIN\r\n235 fine\r\n"}
    proof = proved(LocalHost(), scripted(greeting, replies), "starttls")
    assert proof.blocker.name == "tls" and not any("AUTH" in line for line in proof.transcript)


def test_a_lost_server_is_not_blamed_on_the_provider():
    class Lost(LocalHost):
        def run(self, script, **options):
            if script == ":":
                raise LostContact()
            return super().run(script, **options)

    with pytest.raises(LostContact):
        proved(Lost(), scripted(b"220 hi\r\n", {b"EHLO": None}))
