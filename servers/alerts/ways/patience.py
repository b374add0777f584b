"""smtplib with an end to its patience: a server that drips its answers, or never ends one, is left."""

import smtplib
import time
from io import BufferedReader

TOTAL = 60  # seconds for a whole conversation
MOST = 500_000  # bytes of all answers


class GaveUp(OSError):
    """The server answers too slowly or too much."""


class _Answers:
    """Of a connection's file what smtplib uses. A line is put together from whatever arrives, so that no byte of it
    buys more time."""

    def __init__(self, file: BufferedReader, until: float, left: int):
        self.file, self.until, self.left, self.buffer = file, until, left, b""

    def readline(self, limit: int) -> bytes:
        while b"\n" not in self.buffer and len(self.buffer) < limit:
            part = self.file.read1(8192)
            self.left -= len(part)
            if self.left < 0 or time.monotonic() > self.until:
                raise GaveUp(GaveUp.__doc__)
            if not part:
                break
            self.buffer += part
        end = min(self.buffer.find(b"\n") + 1 or len(self.buffer), limit)
        line, self.buffer = self.buffer[:end], self.buffer[end:]
        return line

    def close(self) -> None:
        self.file.close()


class _Patience:
    def __init__(self, *args, **how):
        self.until, self.left = time.monotonic() + TOTAL, MOST
        super().__init__(*args, **how)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:  # at the beginning, and again after STARTTLS
            self.file = _Answers(self.sock.makefile("rb"), self.until, self.left)
        return super().getreply()


class Smtp(_Patience, smtplib.SMTP):
    """Plain, or encrypted by STARTTLS."""


class SmtpOverTls(_Patience, smtplib.SMTP_SSL):
    """Encrypted from the first byte."""
