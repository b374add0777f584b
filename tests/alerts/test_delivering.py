"""From alerts to a real mail server and a real web server."""

import base64
import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from servers.alerts import delivering, raising
from servers.alerts.models import Alert, Delivery, Route
from servers.alerts.ways import webhook as webhook_way
from servers.remote.secret import Secret
from tests import factories
from tests.ports import free_port

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def fail(server, cause="auth"):
    raising.raise_alert(
        "gateway-failing",
        server.pk,
        server=server,
        cause=cause,
        text="Main refuses the password.",
        hint="Renew it.",
        provider="Main",
    )


def webhook(receiver, **values):
    return factories.RouteFactory(address=receiver.url, allow_local=True, **values)


def events(receiver):
    return [json.loads(body)["event"] for _, _, body in receiver.requests]


def test_an_outage_of_a_provider_is_one_alert_and_one_recovery(receiver):
    webhook(receiver)
    servers = factories.ServerFactory.create_batch(12)
    with time_machine.travel(NOON, tick=False) as clock:
        for server in servers:
            fail(server)
        delivering.tell()
        assert not receiver.requests
        clock.shift(61)
        delivering.tell()
        delivering.tell()
        assert events(receiver) == ["opened"]
        told = json.loads(receiver.requests[0][2])
        assert told["title"] == "Main refuses the password: 12 servers" and told["count"] == 12
        for server in servers:
            raising.recovered("gateway-failing", server.pk)
        delivering.tell()
        delivering.tell()
    assert events(receiver) == ["opened", "closed"]
    assert Alert.objects.get().settled


def test_what_recovers_within_a_minute_is_told_to_nobody(receiver):
    webhook(receiver)
    server = factories.ServerFactory()
    fail(server)
    raising.recovered("gateway-failing", server.pk)
    delivering.tell()
    assert not receiver.requests and Alert.objects.get().settled


def test_the_signature_is_over_time_stamp_and_body(receiver):
    route = webhook(receiver, secret=Secret("sixteen characters"))
    delivery = delivering.trial(route)
    assert (delivery.state, delivery.answer) == ("sent", "200 OK thanks")
    path, headers, body = receiver.requests[0]
    signed = headers["Fleetpost-Timestamp"].encode() + b"." + body
    assert headers["Fleetpost-Signature"] == "v1=" + hmac.digest(b"sixteen characters", signed, hashlib.sha256).hex()
    assert path == "/alerts?team=mail" and b"sixteen" not in body


def test_addresses_of_this_network_are_refused_without_a_yes(receiver):
    route = factories.RouteFactory(address=receiver.url)
    delivery = delivering.trial(route)
    assert delivery.state == "failed" and "inside this network" in delivery.answer
    route.address, route.allow_local = "http://169.254.169.254/latest/meta-data/", True
    assert "metadata" in delivering.trial(route).answer
    assert not receiver.requests


def test_no_redirect_is_followed(receiver):
    receiver.status, receiver.location = 302, receiver.url + "&again"
    assert delivering.trial(webhook(receiver)).state == "failed"
    assert len(receiver.requests) == 1


@contextmanager
def dripping(begins: bytes):
    """The address of a receiver that begins its answer so, and goes on byte by byte."""

    def drip(listener):
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            peer.sendall(begins)
            while True:
                peer.sendall(b"x")
                threading.Event().wait(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_receiver_that_drips_its_answer_is_left(monkeypatch):
    monkeypatch.setattr(webhook_way, "TOTAL", 1)
    with dripping(b"") as address:
        delivery = delivering.trial(factories.RouteFactory(address=address, allow_local=True))
    assert delivery.state == "failed" and delivery.answer


def test_a_receiver_that_drips_after_it_said_yes_is_left_with_what_it_said(monkeypatch):
    monkeypatch.setattr(webhook_way, "TOTAL", 1)
    with dripping(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") as address:
        delivery = delivering.trial(factories.RouteFactory(address=address, allow_local=True))
    assert delivery.state == "sent" and delivery.answer.startswith("200 OK x")
    assert len(delivery.answer) < 500, "it was read to the last byte that fits"


def test_a_refused_delivery_is_tried_again_with_back_off(receiver):
    webhook(receiver)
    receiver.status, receiver.answer = 503, b"\x1b[31mbusy"
    fail(factories.ServerFactory())
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=False) as clock:
        delivering.tell()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.answer) == ("waiting", "503 Service Unavailable busy")
        delivering.tell()
        assert len(receiver.requests) == 1
        clock.shift(61)
        receiver.status = 200
        delivering.tell()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts) == ("sent", 2)


def test_it_gives_up_in_the_end(receiver):
    webhook(receiver)
    receiver.status = 500
    fail(factories.ServerFactory())
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=False) as clock:
        for _ in range(8):
            delivering.tell()
            clock.shift(4 * 3600)
    assert Delivery.objects.get().state == "failed" and len(receiver.requests) == 6


def test_quiet_hours_hold_an_alert_back_and_drop_what_recovered(receiver):
    webhook(receiver, quiet_from=time(22), quiet_until=time(7), zone="Europe/Berlin")
    one, two = factories.ServerFactory.create_batch(2)
    with time_machine.travel(datetime(2026, 3, 10, 23, tzinfo=UTC), tick=False) as clock:
        fail(one)
        fail(two, cause="dns")
        clock.shift(120)
        delivering.tell()
        assert not receiver.requests
        raising.recovered("gateway-failing", two.pk)
        delivering.tell()
        clock.move_to(datetime(2026, 3, 11, 6, 0, 1, tzinfo=UTC))
        delivering.tell()
    assert events(receiver) == ["opened"]
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["sent", "skipped"]


def test_a_route_for_serious_alerts_hears_no_warnings(receiver):
    webhook(receiver, severity=2)
    server = factories.ServerFactory()
    raising.raise_alert("gateway-drifted", server.pk, server=server, text="main.cf was changed")
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2)):
        delivering.tell()
    assert not receiver.requests


def email_route(account, **values):
    values = {"recipients": "ops@example.com\nboss@example.com", "sender": "alerts@example.com"} | values
    return factories.RouteFactory(way=Route.Way.EMAIL, address="", secret=None, provider=account.pk, **values)


def test_an_alert_as_mail(sink, account):
    delivery = delivering.trial(email_route(account))
    assert (delivery.state, delivery.answer) == ("sent", "Main: 250 2.0.0 Ok: queued as 4F1")
    assert sink.mails[0].rcpt_tos == ["ops@example.com", "boss@example.com"]
    assert b"Auto-Submitted: auto-generated" in sink.mails[0].content
    assert not re.search(rb"(?<!\r)\n", sink.mails[0].original_content), "a bare line feed"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_it_signs_in_with_what_the_server_offers_and_keeps_the_password_out_of_the_answer(mechanism):
    username, password, tried = "relay@example.com", "pässword é", []

    def judge(server, session, envelope, used, typed):
        tried.append((used, typed.login.decode(), typed.password.decode()))
        echo = base64.b64encode(typed.password).decode()
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 What is {echo}")

    other = {"PLAIN": "LOGIN", "LOGIN": "PLAIN"}[mechanism]
    server = Controller(
        None,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=judge,
        auth_require_tls=False,
        auth_exclude_mechanism=[other],
    )
    server.start()
    try:
        values = {"host": "127.0.0.1", "port": server.port, "tls": "none", "username": username}
        delivery = delivering.trial(email_route(factories.SmarthostFactory(**values, password=Secret(password))))
    finally:
        server.stop()
    assert tried == [(mechanism, username, password)]
    assert delivery.state == "failed" and delivery.answer.endswith("535 5.7.8 What is ••••"), delivery.answer


def test_the_fallback_is_used_when_the_first_account_refuses(sink, account):
    dead = factories.SmarthostFactory(name="Dead", host="127.0.0.1", port=9, tls="none", username="")
    delivery = delivering.trial(email_route(dead, fallback=account.pk))
    assert delivery.state == "sent" and "Dead: " in delivery.answer and "Main: 250" in delivery.answer


def test_the_providers_own_words_of_a_refusal_are_kept(sink, account):
    sink.refuse = "550 5.7.1 Not your domain"
    delivery = delivering.trial(email_route(account))
    assert (delivery.state, delivery.answer) == ("failed", "Main: 550 5.7.1 Not your domain")


def test_a_name_with_a_line_break_makes_no_header(sink, account):
    server = factories.ServerFactory()
    raising.raise_alert("x", 1, server=server, text="down\r\nBcc: all@example.com")
    email_route(account)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2)):
        delivering.tell()
    assert sink.mails[0].rcpt_tos == ["ops@example.com", "boss@example.com"]
    assert b"\r\nBcc:" not in sink.mails[0].content.partition(b"\r\n\r\n")[0]


def test_a_deleted_account_is_said(db):
    account = factories.SmarthostFactory()
    route = email_route(account)
    account.delete()
    assert "was deleted" in delivering.trial(route).answer


def test_web_processes_do_not_load_the_chat_library():
    program = "import django, sys; django.setup(); import controlpanel.urls; assert 'apprise' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
