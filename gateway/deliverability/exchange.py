"""Many DNS questions at once over one socket and no thread: UDP, and TCP where an answer was cut short."""

import select
import socket
import time
from collections.abc import Sequence
from random import SystemRandom

import dns.exception
import dns.flags
import dns.message
import dns.query

Question = tuple[str, str]  # a name without last dot, "TXT" | "MX" | …
SILENT, UNREADABLE = "did not answer in time", "gave an answer that could not be read"
UNFIT = "cannot be asked for such a name"
RECURSE, UNCHECKED = int(dns.flags.RD), int(dns.flags.RD | dns.flags.CD)
_CUT = "was cut short"
_NUMBERS, _LARGEST = range(1 << 16), 65535
_TC = 0x02  # in the third byte of a message


def exchange(
    server: str, port: int, questions: Sequence[Question], *, timeout: float, flags: int = RECURSE
) -> list[dns.message.Message | str]:
    """What `server` says to each question, in their order: a response, or why none (SILENT, UNREADABLE, UNFIT).

    timeout: seconds for all of them together. flags: of the header, such as RECURSE."""
    until = time.monotonic() + timeout
    numbers = SystemRandom().sample(_NUMBERS, len(questions))
    made = {number: _query(number, *asked, flags) for number, asked in zip(numbers, questions, strict=True)}
    queries = {number: query for number, query in made.items() if query}
    replies = dict.fromkeys(made.keys() - queries.keys(), UNFIT) | _by_udp(server, port, queries, until)
    for number, reply in replies.items():
        if reply is _CUT:
            replies[number] = _by_tcp(server, port, queries[number], until)
    return [replies.get(number, SILENT) for number in numbers]


def _query(number: int, name: str, kind: str, flags: int) -> dns.message.QueryMessage | None:
    try:
        return dns.message.make_query(f"{name}.", kind, id=number, flags=flags)
    except (dns.exception.DNSException, ValueError):  # records of strangers name hosts that are none
        return None


def _by_udp(server: str, port: int, queries: dict, until: float) -> dict[int, dns.message.Message | str]:
    replies: dict[int, dns.message.Message | str] = {}
    try:
        where = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        with socket.socket(where[0], where[1] | socket.SOCK_NONBLOCK) as wire:
            wire.connect(where[4])  # what others send does not arrive, and "port closed" does
            poll = select.poll()
            poll.register(wire, select.POLLIN)
            for query in queries.values():
                wire.send(query.to_wire())
            while len(replies) < len(queries) and poll.poll(max(0.0, until - time.monotonic()) * 1000):
                number, reply = _received(wire, queries)
                if number not in replies and reply is not None:
                    replies[number] = reply
    except OSError:  # nobody listens there, or there is no way
        pass
    return replies


def _received(wire: socket.socket, queries: dict) -> tuple[int, dns.message.Message | str | None]:
    """One datagram; None for what answers no question of ours."""
    data = wire.recv(_LARGEST)
    number = int.from_bytes(data[:2])
    if number not in queries or len(data) < 12:
        return number, None
    if data[2] & _TC:
        return number, _CUT
    try:
        reply = dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return number, UNREADABLE
    return number, reply if queries[number].is_response(reply) else None


def _by_tcp(server: str, port: int, query: dns.message.Message, until: float) -> dns.message.Message | str:
    try:
        return dns.query.tcp(query, server, timeout=max(0.1, until - time.monotonic()), port=port)
    except (dns.exception.Timeout, OSError):
        return SILENT
    except (dns.exception.DNSException, EOFError, ValueError):
        return UNREADABLE
