"""The scan against sockets on loopback, good, bad and hostile."""

import socket
import time

import pytest

from gateway.diagnosis import scan
from gateway.diagnosis.scan import Seen
from gateway.proof import prove
from gateway.proof.scene import look as look_around
from gateway.providers import presets
from tests.gateway.proof.conftest import authority, bundle, provider  # noqa: F401 - fixtures
from tests.gateway.proof.localhost import Bad, LocalHost, Relay, scripted
from tests.ports import free_port

HELO = "web1.example.com"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(scan, "WAIT", 2)


def look(*ports: int, tls: str = "starttls", addresses=("127.0.0.1",)) -> dict[int, Seen]:
    found = scan.scan(LocalHost(), "localhost", addresses, dict.fromkeys(ports, tls), HELO)
    return {one.port: one for one in found.seen}


def test_what_answers_is_told_apart(provider):  # noqa: F811
    plain, implicit, closed = provider().port, provider(implicit=True).port, free_port()
    found = look(plain, implicit, closed)
    assert (found[plain].state, found[plain].smtp, found[plain].starttls) == ("open", True, True)
    assert (found[implicit].state, found[implicit].tls, found[implicit].smtp) == ("open", True, False)
    assert (found[closed].state, found[closed].words) == ("refused", "Connection refused")
    assert look(implicit, tls="implicit")[implicit].tls


def test_a_port_expected_to_speak_tls_that_greets_in_clear_is_asked_what_it_offers(provider):  # noqa: F811
    port = provider().port
    found = look(port, tls="implicit")[port]
    assert (found.state, found.tls, found.smtp, found.starttls) == ("open", False, True, True)


def test_silence_on_many_ports_costs_one_time_out():
    with Bad(lambda c: c.recv(1) and time.sleep(5)) as one, Bad(lambda c: time.sleep(5)) as two:
        began = time.monotonic()
        found = look(one.port, two.port)
    assert time.monotonic() - began < 4
    assert {(seen.state, seen.greeting, seen.tls) for seen in found.values()} == {("open", "", False)}


def test_a_connection_nobody_answers_is_silent():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        queued = [socket.socket() for _ in range(3)]
        for waiting in queued:
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        assert look(port)[port].state == "silent"
        for waiting in queued:
            waiting.close()


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n<html>",
        b"\x1b[2J\x1b]0;owned\x07 hello\r\n",
        b"220-" + b"x" * 500_000 + b"\r\n",
        b"220 fake\r\nP 127.0.0.1 1 open 1 g o 0 w\r\n",
        b"\xff\xfe\x00\r\n" * 5000,
    ],
    ids=["html", "ansi", "endless line", "forged row", "bytes"],
)
def test_hostile_greetings_stay_in_their_row(greeting):
    with Bad(scripted(greeting, {})) as bad:
        found = look(bad.port)
    assert set(found) == {bad.port}
    assert "\x1b" not in found[bad.port].greeting and len(found[bad.port].greeting) <= 300


def test_a_name_without_addresses_says_why():
    found = scan.scan(LocalHost(), "no-such-host.invalid", (), {587: "starttls"}, HELO)
    assert found.seen == () and found.words


def test_noise_around_the_rows_is_skipped():
    assert scan.parse(b"Welcome to web1\nP too few\nP a b c d e f g h\n") == scan.Scan()


def test_the_usual_ports_the_providers_and_the_chosen_one_are_tried():
    tried = scan.ports(presets.get("ses"), 10465, "implicit")
    assert {25, 465, 587, 2525, 2587, 2465, 10465} <= set(tried)
    assert (tried[10465], tried[465], tried[587]) == ("implicit", "implicit", "starttls")


class Counted:
    """A tunnel that counts how often something goes out and has to be answered."""

    def __init__(self, tunnel, turns: list):
        self._tunnel, self._turns = tunnel, turns

    def sendall(self, data: bytes) -> None:
        self._turns.append(len(data))
        self._tunnel.sendall(data)

    def __getattr__(self, name: str):
        return getattr(self._tunnel, name)


def test_a_whole_diagnosis_takes_at_most_fifteen_turns(provider):  # noqa: F811
    turns, host, server = [], LocalHost(), provider()
    plain_tunnel, plain_run = host.tunnel, host.run

    def counted_tunnel(*where, **how):
        turns.append("tunnel")
        return Counted(plain_tunnel(*where, **how), turns)

    def counted_run(*what, **how):
        turns.append("script")
        return plain_run(*what, **how)

    host.tunnel, host.run = counted_tunnel, counted_run
    scene = look_around(host, "localhost")
    found = scan.scan(host, "localhost", ("127.0.0.1",), {server.port: "starttls"}, HELO)
    target = found.seen[0].address
    sender = "root@example.com"
    proof = prove(host, Relay(port=server.port), sender=sender, recipient=sender, scene=scene, target=target)
    assert proof.proven and proof.stages[-1].name == "rcpt_to"
    assert len(turns) + 1 <= 15, turns  # and Postfix's own way is one script more
