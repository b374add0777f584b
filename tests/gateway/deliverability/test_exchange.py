"""Datagrams: which are taken for an answer, and what is made of none."""

import socket
import threading
import time
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rrset

from gateway.deliverability.exchange import SILENT, UNFIT, UNREADABLE, exchange

ASKED = ("example.com", "TXT")


def answer(query: dns.message.Message, text: str = "right") -> bytes:
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", f'"{text}"'))
    return response.to_wire()


@contextmanager
def answering(replies):
    """A port whose server sends `replies(query)` to each question it gets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        wire.settimeout(5)

        def serve():
            while data := wire.recvfrom(4096):
                if not data[0]:
                    return
                for reply in replies(dns.message.from_wire(data[0])):
                    wire.sendto(reply, data[1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield wire.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"", wire.getsockname())
        thread.join(5)


def told(reply) -> str:
    return reply if isinstance(reply, str) else reply.answer[0][0].strings[0].decode()


def test_only_an_answer_to_the_question_counts():
    def replies(query):
        other = dns.message.make_query("example.net.", "TXT", id=query.id)
        stranger = dns.message.from_wire(query.to_wire())
        stranger.id = query.id ^ 1
        return [b"", b"x", query.to_wire(), answer(other, "wrong"), answer(stranger, "wrong"), answer(query)]

    with answering(replies) as port:
        assert [told(one) for one in exchange("127.0.0.1", port, [ASKED], timeout=5)] == ["right"]


def test_many_come_back_in_the_order_they_were_asked():
    held = []

    def replies(query):
        held.append(query)
        return [answer(one, str(one.question[0].name)) for one in reversed(held)] if len(held) == 3 else []

    names = ["c.test", "a.test", "b.test"]
    with answering(replies) as port:
        found = exchange("127.0.0.1", port, [(name, "TXT") for name in names], timeout=5)
    assert [told(one) for one in found] == ["c.test.", "a.test.", "b.test."]


def test_what_cannot_be_read_or_asked_spoils_nothing_else():
    def replies(query):
        garbled = query.question[0].name.labels[0] == b"garbled"
        return [query.to_wire()[:2] + b"\x80\x00\x00\x01\x00\x09\x00\x00\x00\x00!!"] if garbled else [answer(query)]

    with answering(replies) as port:
        found = exchange("127.0.0.1", port, [("garbled.test", "TXT"), ("a\\999.test", "TXT"), ASKED], timeout=5)
    assert [told(one) for one in found] == [UNREADABLE, UNFIT, "right"]


def test_a_closed_port_is_not_waited_for():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    began = time.monotonic()
    assert exchange("127.0.0.1", port, [ASKED], timeout=60) == [SILENT]
    assert time.monotonic() - began < 30, "half the time it had"


def test_what_was_cut_short_and_has_no_tcp_is_no_answer():
    def replies(query):
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return [response.to_wire()]

    with answering(replies) as port:
        assert exchange("127.0.0.1", port, [ASKED], timeout=5) == [SILENT]
