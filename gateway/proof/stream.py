"""The panel's own SMTP conversation over a socket-like stream, with deadlines."""

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from gateway.proof import wire

STEP = 15.0  # seconds of silence before the other side counts as gone
TOTAL = 60.0
_OUT_OF_TIME = "no answer within the time for the whole check"


class Socket(Protocol):
    """What `host.tunnel` gives: recv answers b"" at the end; all may raise OSError, TimeoutError among them."""

    def recv(self, size: int) -> bytes: ...

    def sendall(self, data: bytes) -> None: ...

    def settimeout(self, seconds: float | None) -> None: ...


class LiveWire:
    """A `wire.Wire`. context, name: how and for which host name a certificate is checked.

    alive: called before the SMTP server is blamed for a closed connection; raises when the way to it broke instead.
    """

    live = True

    def __init__(
        self,
        socket: Socket,
        context: ssl.SSLContext,
        name: str,
        heard: Callable[[str], None],
        alive: Callable[[], object] = lambda: None,
        *,
        step: float = STEP,
        total: float = TOTAL,
    ):
        self._socket, self._context, self._name, self._heard, self._alive = socket, context, name, heard, alive
        self._step, self._deadline = step, time.monotonic() + total
        self._buffer = bytearray()
        self._tls: _Tls | None = None
        self._answered = False
        self.certificate_until: datetime | None = None

    def clock(self) -> float:
        return time.monotonic()

    def reply(self) -> wire.Reply:
        found = wire.read_reply(self._line, lambda line: self._heard(f"S: {line}"))
        self._answered = True
        return found

    def send(self, line: bytes, shown: str) -> None:
        self._heard(f"C: {shown}")
        self._send_raw(self._tls.encrypt(line + b"\r\n") if self._tls else line + b"\r\n")

    def start_tls(self) -> str:
        # What came before encryption is not to be believed after it (command injection, CVE-2011-0411).
        self._buffer.clear()
        tls = _Tls(self._context, self._name, self._recv_raw, self._send_raw)
        try:
            evidence = tls.handshake()
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise wire.TlsFault(wire.shown(str(error))) from None
        self._tls, self.certificate_until = tls, tls.certificate_until
        self._heard(f"* {evidence}")
        return evidence

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > wire.LINE:
                raise wire.WireFault(f"The answer is not SMTP: {wire.shown(bytes(self._buffer[:80]))}")
            self._buffer += self._receive()
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        if len(line) > wire.LINE:
            raise wire.WireFault(f"The answer is not SMTP: {wire.shown(line[:80])}")
        return line

    def _receive(self) -> bytes:
        try:
            data = self._tls.decrypt() if self._tls else self._recv_raw()
        except ssl.SSLError as error:
            raise wire.TlsFault(wire.shown(str(error))) from None
        if not data:
            raise self._closed()
        return data

    def _recv_raw(self) -> bytes:
        left = self._set_timeout()
        try:
            return self._socket.recv(16384)
        except TimeoutError:
            if left < self._step:
                raise wire.WireFault(_OUT_OF_TIME) from None
            what = "answer" if self._answered else "greeting"
            raise wire.WireFault(f"no {what} within {left:.0f} s") from None
        except OSError as error:
            raise self._closed(error) from None

    def _send_raw(self, data: bytes) -> None:
        self._set_timeout()
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._closed(error) from None

    def _closed(self, error: OSError | None = None) -> wire.Closed:
        self._alive()
        return wire.Closed(wire.shown(str(error or "")) or "connection closed by the SMTP server")

    def _set_timeout(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise wire.WireFault(_OUT_OF_TIME)
        self._socket.settimeout(min(self._step, left))
        return min(self._step, left)


class _Tls:
    """TLS over something that is not a socket: ciphertext goes through two memory buffers."""

    def __init__(self, context: ssl.SSLContext, name: str, receive: Callable, send: Callable):
        self._inward, self._outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._inward, self._outward, server_hostname=name)
        self._receive, self._send = receive, send
        self.certificate_until: datetime | None = None

    def handshake(self) -> str:
        self._drive(self._object.do_handshake)
        cipher = self._object.cipher()
        checked = self._object.getpeercert()  # empty when it was not verified
        if checked:
            self.certificate_until = datetime.fromtimestamp(ssl.cert_time_to_seconds(checked["notAfter"]), UTC)
        until = f"certificate valid until {checked['notAfter']}" if checked else "certificate not checked"
        return f"{self._object.version()}, {cipher[0] if cipher else 'no cipher'}, {until}"

    def encrypt(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._outward.read()

    def decrypt(self) -> bytes:
        try:
            return self._drive(lambda: self._object.read(16384))
        except ssl.SSLZeroReturnError:
            return b""

    def _drive(self, act: Callable):
        while True:
            try:
                result = act()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._receive()
                if data:
                    self._inward.write(data)
                else:
                    self._inward.write_eof()
            except ssl.SSLError:
                self._flush()  # the alert, so that the other side learns why
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._outward.read():
            self._send(data)
