"""Sockets that cannot hang: names with a deadline, addresses raced, and a line that notices a silent peer."""

import contextlib
import errno
import ipaddress
import selectors
import socket
import threading
import time

from servers.remote.errors import ConnectRefused, ConnectTimeout, NameNotFound, NoRoute, RemoteError

STAGGER = 0.25  # seconds before the next address is tried beside the one that has not answered (RFC 8305)
UNACKED = 15_000  # milliseconds the kernel waits for an acknowledgement before it gives the connection up
ASK_AFTER = 7.0  # seconds without a byte from the peer until it is asked whether it is there
ANSWER_WITHIN = 15.0  # seconds it then has to answer; 7 + 15 stays below the promised 30
OPENING = 256

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.EINVAL}


def resolve(name: str, port: int, timeout: float) -> list[tuple]:
    """Socket addresses as (family, sockaddr), families alternating. Raises NameNotFound."""
    try:
        literal = ipaddress.ip_address(name)
        family = socket.AF_INET6 if literal.version == 6 else socket.AF_INET
        return [(family, (str(literal), port))]
    except ValueError:
        return _alternate(_looked_up(name, port, timeout))


def _looked_up(name: str, port: int, timeout: float) -> list[tuple]:
    found: list = []

    def look():
        # UnicodeError: getaddrinfo encodes with IDNA, which refuses empty and overlong labels.
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))

    # getaddrinfo has no timeout of its own; an abandoned daemon thread ends with the resolver's.
    thread = threading.Thread(target=look, daemon=True, name="resolve")
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise NameNotFound(f"Looking up {name} took longer than {timeout:.0f} s.", "Check the panel's DNS resolver.")
    if not found:
        raise NameNotFound(f"The name {name} has no address.")
    return [(family, address) for family, _, _, _, address in found]


def _alternate(addresses: list[tuple]) -> list[tuple]:
    first = addresses[0][0]
    same = [a for a in addresses if a[0] == first]
    other = [a for a in addresses if a[0] != first]
    mixed = []
    while same or other:
        mixed += same[:1] + other[:1]
        same, other = same[1:], other[1:]
    return mixed


def dial(addresses: list[tuple], timeout: float) -> socket.socket:
    """A connected, tuned socket to the address that answers first. Raises ConnectTimeout, ConnectRefused, NoRoute."""
    waiting, left, error = selectors.DefaultSelector(), list(addresses), None
    deadline = time.monotonic() + timeout
    try:
        while left or waiting.get_map():
            if left:
                error = _start(left.pop(0), waiting) or error
            remaining = deadline - time.monotonic()
            sock, failure = _answered(waiting, min(STAGGER, remaining) if left else remaining)
            if sock:
                return _tune(sock)
            error = failure or error
            if time.monotonic() >= deadline:
                raise ConnectTimeout()
        raise _cause(error)
    finally:
        for key in list(waiting.get_map().values()):
            key.fileobj.close()
        waiting.close()


def _answered(waiting: selectors.BaseSelector, pause: float) -> tuple[socket.socket | None, OSError | None]:
    error = None
    for key, _ in waiting.select(max(0.0, pause)) if waiting.get_map() else ():
        waiting.unregister(key.fileobj)
        code = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            return key.fileobj, None
        key.fileobj.close()
        error = OSError(code, "")
    return None, error


def _start(address: tuple, waiting: selectors.BaseSelector) -> OSError | None:
    family, sockaddr = address
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return error
    sock.setblocking(False)
    code = sock.connect_ex(sockaddr)
    if code not in (0, errno.EINPROGRESS):
        sock.close()
        return OSError(code, "")
    waiting.register(sock, selectors.EVENT_WRITE)
    return None


def _cause(error: OSError) -> RemoteError:
    if error.errno == errno.ETIMEDOUT:
        return ConnectTimeout()
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
        return ConnectRefused()
    if error.errno in _NO_ROUTE:
        return NoRoute()
    return NoRoute(f"The panel cannot open a connection ({errno.errorcode.get(error.errno, error.errno)}).")


def _tune(sock: socket.socket) -> socket.socket:
    sock.setblocking(True)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_USER_TIMEOUT", UNACKED),
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock


class Line:
    """A socket (or an SSH channel) whose peer must keep taking what is sent and keep answering what is asked.

    The reader calls `recv` in a loop with a short timeout; `asked` is called by whoever sent a question. A peer that
    accepts nothing, or answers nothing, for ANSWER_WITHIN seconds ends the line: the kernel's own timers do not see a
    stopped process behind a living kernel. `opening` keeps the first bytes, for saying what answered instead of SSH;
    `ended` says that the peer closed.
    """

    def __init__(self, sock):
        self._sock = sock
        self.opening = b""
        self.silent = False
        self.ended = False
        self._closed = False  # paramiko asks its socket for this name before it stops waiting for its reader
        self._heard = time.monotonic()
        self._question = 0.0
        self._blocked = 0.0

    def asked(self) -> None:
        if self._question <= self._heard:
            self._question = time.monotonic()

    def recv(self, size: int) -> bytes:
        try:
            data = self._sock.recv(size)
        except TimeoutError:
            # Judged only after an unanswered question: a panel process that was itself stopped must not blame the peer.
            if self.silent or (self._question > self._heard and time.monotonic() - self._question > ANSWER_WITHIN):
                self._give_up()
            raise
        except OSError:
            self.ended = True
            raise
        self._heard, self.ended = time.monotonic(), not data
        if len(self.opening) < OPENING:
            self.opening += data[: OPENING - len(self.opening)]
        return data

    def send(self, data: bytes) -> int:
        if self.silent:
            self._give_up()
        try:
            sent = self._sock.send(data)
        except TimeoutError:
            self._blocked = self._blocked or time.monotonic()
            if time.monotonic() - self._blocked > ANSWER_WITHIN:
                self._give_up()
            raise
        self._blocked = 0.0
        return sent

    def _give_up(self):
        self.silent = True
        raise OSError(errno.EPIPE, "the peer went silent")

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    def close(self) -> None:
        self._closed = True
        self._sock.close()
