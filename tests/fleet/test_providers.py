"""The good provider behaves as providers do, and every bad one is bad in its own way."""

import smtplib
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest

from tests.fleet.badhost import BadProvider
from tests.fleet.faults import FAULTS
from tests.fleet.fleet import ACCOUNT, Fleet
from tests.fleet.provider import Provider

Reply = tuple[int, bytes]
MAIL = b"From: app@example.org\r\nMessage-ID: <1@fleet.test>\r\n\r\nbody\r\n"


@contextmanager
def session(
    fleet: Fleet, name: str, address: IPv4Address, *, port: int = 587, verify: bool = True, patience: float = 5
) -> Iterator[smtplib.SMTP]:
    """An encrypted SMTP session with `name` at `address`, its certificate checked unless verify is off."""
    context = ssl.create_default_context(cadata=fleet.authority.pem)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = smtplib.SMTP(timeout=patience)
    client._host = name  # type: ignore[attr-defined]  # the name certificates are checked against
    if port == 465:
        plain = socket.create_connection((str(address), port), patience)
        client.sock = context.wrap_socket(plain, server_hostname=name)
        client.getreply()
    else:
        code, text = client.connect(str(address), port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        client._host = name  # type: ignore[attr-defined]
        client.starttls(context=context)
    client.ehlo()
    try:
        yield client
    finally:
        client.close()


def sign_in(client: smtplib.SMTP, login: str, password: str) -> Reply:
    """smtplib.login insists on ASCII; this sends the bytes as they are."""
    return client.docmd("AUTH", "PLAIN " + b64encode(f"\0{login}\0{password}".encode()).decode())


def send(client: smtplib.SMTP, sender: str, recipient: str) -> Reply:
    """The first refusal, or the answer to the message."""
    for reply in (client.mail(sender), client.rcpt(recipient)):
        if reply[0] >= 400:
            return reply
    return client.data(MAIL)


@pytest.mark.parametrize("port", [587, 2525, 465])
def test_the_right_password_sends(fleet: Fleet, provider: Provider, port: int) -> None:
    with session(fleet, provider.host, provider.address, port=port) as client:
        assert sign_in(client, ACCOUNT.login, ACCOUNT.password)[0] == 235
        assert send(client, "app@example.org", "you@far.example")[0] == 250
    assert provider.wait_for_messages(1)[0]["Message-ID"] == "<1@fleet.test>"


@pytest.mark.parametrize("password", ["", "wrong", ACCOUNT.password + " ", ACCOUNT.password.upper()])
def test_a_wrong_password_is_refused(fleet: Fleet, provider: Provider, password: str) -> None:
    with session(fleet, provider.host, provider.address) as client:
        assert sign_in(client, ACCOUNT.login, password)[0] in (501, 535)
        assert send(client, "app@example.org", "you@far.example")[0] in (530, 553, 554)


@pytest.mark.parametrize("password", ["a:b:c", "{PLAIN}x", "$HOME `id` %u", "two  blanks", "ünï¢ødé", "\"'\\\\'"])
def test_passwords_count_byte_for_byte(fleet: Fleet, provider: Provider, password: str) -> None:
    provider.add_user("AKIA/odd+login", password, ["me@odd.example"])
    with session(fleet, provider.host, provider.address) as client:
        assert sign_in(client, "AKIA/odd+login", password)[0] == 235
        assert send(client, "me@odd.example", "you@far.example")[0] == 250


def test_a_login_sends_only_from_its_own_addresses(fleet: Fleet, provider: Provider) -> None:
    with session(fleet, provider.host, provider.address) as client:
        sign_in(client, ACCOUNT.login, ACCOUNT.password)
        code, text = send(client, "boss@elsewhere.example", "you@far.example")
    assert code == 553
    assert b"not owned by user" in text
    assert provider.messages() == []


@pytest.mark.parametrize(("recipient", "code"), [("unknown", 550), ("full", 452), ("later", 450), ("blocked", 554)])
def test_some_recipients_are_refused(fleet: Fleet, provider: Provider, recipient: str, code: int) -> None:
    with session(fleet, provider.host, provider.address) as client:
        sign_in(client, ACCOUNT.login, ACCOUNT.password)
        assert send(client, "app@example.org", f"{recipient}@far.example")[0] == code


def test_plain_text_sign_in_is_not_offered(provider: Provider) -> None:
    with smtplib.SMTP(str(provider.address), 587, timeout=5) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert not client.has_extn("auth")
        assert client.mail("app@example.org")[0] == 530


REPLIES = {
    "badlogin": (535, b"5.7.8"),
    "basicauthoff": (535, b"5.7.139"),
    "authlater": (454, b"4.7.0"),
    "authrequired": (530, b"5.7.0 Authentication Required"),
    "unverified": (554, b"Email address is not verified"),
    "sendasdenied": (554, b"5.2.252 SendAsDenied"),
    "throttled": (454, b"Maximum sending rate exceeded"),
    "overquota": (550, b"5.4.5"),
    "loses": (250, b"queued as"),
}


@pytest.mark.parametrize("fault", REPLIES)
@pytest.mark.parametrize("port", [587, 465])
def test_a_bad_provider_gives_its_reply(fleet: Fleet, bad_provider: BadProvider, fault: str, port: int) -> None:
    with session(fleet, bad_provider.host(fault), bad_provider.addresses[fault], port=port) as client:
        reply = sign_in(client, "me", "secret") if client.has_extn("auth") else (235, b"")
        if reply[0] == 235:
            reply = send(client, "app@example.org", "you@far.example")
    assert reply[0] == REPLIES[fault][0]
    assert REPLIES[fault][1] in reply[1]


@pytest.mark.parametrize(
    ("fault", "reason"), [("expired", "expired"), ("wrongname", "Hostname mismatch"), ("untrusted", "self-signed")]
)
@pytest.mark.parametrize("port", [587, 465])
def test_a_bad_certificate_is_bad_in_one_way(
    fleet: Fleet, bad_provider: BadProvider, fault: str, reason: str, port: int
) -> None:
    place = (fleet, bad_provider.host(fault), bad_provider.addresses[fault])
    with pytest.raises(ssl.SSLCertVerificationError, match=reason), session(*place, port=port):
        pass
    with session(*place, port=port, verify=False) as client:
        assert sign_in(client, "me", "secret")[0] == 235


def test_no_starttls_means_plain_sign_in(bad_provider: BadProvider) -> None:
    with smtplib.SMTP(str(bad_provider.addresses["nostarttls"]), 587, timeout=5) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        assert sign_in(client, "me", "secret")[0] == 235
    commands = [entry["text"] for entry in bad_provider.seen("nostarttls", "command")]
    assert commands[1].startswith("AUTH PLAIN")


def test_broken_tls_breaks_the_handshake(fleet: Fleet, bad_provider: BadProvider) -> None:
    place = (fleet, bad_provider.host("brokentls"), bad_provider.addresses["brokentls"])
    with pytest.raises(ssl.SSLError), session(*place):
        pass


@pytest.mark.parametrize(("fault", "code"), [("busy", 421), ("refuses", 554)])
def test_a_greeting_can_be_a_refusal(fleet: Fleet, bad_provider: BadProvider, fault: str, code: int) -> None:
    with (
        pytest.raises(smtplib.SMTPConnectError) as refused,
        session(fleet, bad_provider.host(fault), bad_provider.addresses[fault]),
    ):
        pass
    assert refused.value.smtp_code == code


@pytest.mark.parametrize("port", [587, 465])
def test_silence_lasts(bad_provider: BadProvider, port: int) -> None:
    with socket.create_connection((str(bad_provider.addresses["silent"]), port), timeout=1) as connection:
        connection.sendall(b"EHLO me\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert bad_provider.seen("silent", "connect")


def test_slowness_is_slow_but_works(bad_provider: BadProvider) -> None:
    started = time.monotonic()
    with socket.create_connection((str(bad_provider.addresses["slow"]), 587), timeout=5) as connection:
        assert connection.recv(4) == b"220 "
    assert time.monotonic() - started > FAULTS["slow"].pause - 0.1


def test_a_connection_drops_in_the_middle_of_data(fleet: Fleet, bad_provider: BadProvider) -> None:
    place = (fleet, bad_provider.host("drops"), bad_provider.addresses["drops"])
    with session(*place) as client, pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError, ssl.SSLError)):
        send(client, "app@example.org", "you@far.example")
    assert bad_provider.seen("drops", "message") == []


def test_an_answer_to_the_message_can_stay_out(fleet: Fleet, bad_provider: BadProvider) -> None:
    place = (fleet, bad_provider.host("stalls"), bad_provider.addresses["stalls"])
    with session(*place, patience=1) as client, pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        send(client, "app@example.org", "you@far.example")
    assert len(bad_provider.seen("stalls", "message")) == 1


@pytest.mark.parametrize(
    ("fault", "start"), [("webserver", b"HTTP/1.1 400"), ("hugebanner", b"222"), ("endless", b"220-")]
)
def test_not_everything_that_greets_speaks_smtp(bad_provider: BadProvider, fault: str, start: bytes) -> None:
    heard = b""
    with socket.create_connection((str(bad_provider.addresses[fault]), 587), timeout=5) as connection:
        while len(heard) < (100_000 if FAULTS[fault].flood else 20):
            heard += connection.recv(65536)
    assert heard.startswith(start)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("terminal", b"\x1b[31mno"),
        ("garbage", b"\xff\xfe\x80"),
        ("echoes", b"se:cret is not the password, nor is AG1l"),
    ],
)
def test_hostile_words_are_sent_as_they_are(fleet: Fleet, bad_provider: BadProvider, fault: str, words: bytes) -> None:
    with session(fleet, bad_provider.host(fault), bad_provider.addresses[fault]) as client:
        assert words in sign_in(client, "me", "se:cret")[1]


def test_a_log_line_is_forged_with_the_true_queue_id(fleet: Fleet, bad_provider: BadProvider) -> None:
    with session(fleet, bad_provider.host("forges"), bad_provider.addresses["forges"]) as client:
        sign_in(client, "me", "secret")
        client.mail("app@example.org")
        client.rcpt("you@far.example")
        code, text = client.data(b"Received: by web-1 (Postfix, from userid 0) id 4jWy0W4CDDzR7\r\n\r\nbody\r\n")
    assert code == 554 and b"\x0bNov 21 10:00:00 web-1 postfix/smtp[4242]: 4jWy0W4CDDzR7: to=<you@far.example>" in text


def test_a_connection_can_end_after_the_greeting(bad_provider: BadProvider) -> None:
    with socket.create_connection((str(bad_provider.addresses["hangsup"]), 587), timeout=5) as connection:
        assert connection.makefile("rb").read().startswith(b"220 ")


def test_a_closed_port_refuses(bad_provider: BadProvider) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((str(bad_provider.closed), 587), timeout=2)
