"""Names and addresses: every wait has an end, the address that answers wins."""

import socket
import time

import pytest

from servers.remote import errors, wire
from tests.ports import free_port


@pytest.fixture
def black_hole():
    """An address whose connections are never answered: its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        time.sleep(0.1)
        yield (socket.AF_INET, server.getsockname())
        for filler in fillers:
            filler.close()


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield (socket.AF_INET, server.getsockname())


def test_literals_need_no_resolver():
    assert wire.resolve("2001:db8::1", 22, 1) == [(socket.AF_INET6, ("2001:db8::1", 22))]
    assert wire.resolve("192.0.2.7", 22, 1) == [(socket.AF_INET, ("192.0.2.7", 22))]


@pytest.mark.parametrize("name", ["", "nosuch.invalid", "a..b", "x" * 64 + ".example", "exa mple", "-oProxyCommand=x"])
def test_bad_names_have_no_address(name):
    with pytest.raises(errors.NameNotFound):
        wire.resolve(name, 22, 10)


def test_a_resolver_that_hangs_has_a_deadline(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: time.sleep(30) or [])
    started = time.monotonic()
    with pytest.raises(errors.NameNotFound, match="longer than"):
        wire.resolve("slow.example", 22, 0.3)
    assert time.monotonic() - started < 15


def test_families_alternate(monkeypatch):
    four, six = (socket.AF_INET, 1, 6, "", ("192.0.2.1", 22)), (socket.AF_INET6, 1, 6, "", ("2001:db8::1", 22))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: [six, six, four, four])
    assert [family for family, _ in wire.resolve("both.example", 22, 1)] == [socket.AF_INET6, socket.AF_INET] * 2


def test_an_address_that_does_not_answer_costs_a_quarter_second(listener, black_hole):
    started = time.monotonic()
    sock = wire.dial([black_hole, listener], 60)
    assert sock.getpeername() == listener[1]
    assert wire.STAGGER <= time.monotonic() - started < 15
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == wire.UNACKED
    sock.close()


def test_a_refused_address_does_not_stop_the_next(listener):
    wire.dial([(socket.AF_INET, ("127.0.0.1", free_port())), listener], 5).close()


def test_dead_ends_are_told_apart(black_hole):
    with pytest.raises(errors.ConnectRefused):
        wire.dial([(socket.AF_INET, ("127.0.0.1", free_port()))], 5)
    with pytest.raises(errors.ConnectTimeout):
        wire.dial([black_hole], 0.4)
    with pytest.raises(errors.NoRoute):
        wire.dial([(socket.AF_INET, ("255.255.255.255", 22))], 1)
