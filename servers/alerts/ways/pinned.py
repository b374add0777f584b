"""Holds what the chat library connects to at the addresses that were judged. The library resolves names itself, through
urllib3, so without this a name could lead elsewhere the second time it is asked for."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from urllib3.util import connection

# host -> its addresses, for whoever sends now; the library carries it into its own threads
_pins: ContextVar[dict[str, list[str]] | None] = ContextVar("pins", default=None)
_connect = connection.create_connection


@contextmanager
def to(host: str, addresses: list[str]) -> Iterator[None]:
    """Inside, this host is these addresses, and no other host is connected to, a proxy included."""
    token = _pins.set({host.lower(): addresses})
    try:
        yield
    finally:
        _pins.reset(token)


def _create_connection(address: tuple[str, int], *args, **how) -> socket.socket:
    pins = _pins.get()
    if pins is None:
        return _connect(address, *args, **how)
    host, port = address
    failed = OSError(f"{host} is not the host that was looked at before sending.")
    for known in pins.get(host.strip("[]").lower(), ()):
        try:
            return _connect((known, port), *args, **how)
        except OSError as error:
            failed = error
    raise failed


connection.create_connection = _create_connection
