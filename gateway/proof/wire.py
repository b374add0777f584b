"""SMTP replies read from anything, within limits that a hostile server cannot stretch."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from servers.remote import clean

LINE = 8192  # bytes; RFC 5321 says 512, real servers write more
LINES = 100  # of one reply
SHOWN = 500  # characters of a line that a person gets to see

_REPLY = re.compile(rb"(\d{3})(?:([ -])(.*))?", re.DOTALL)


class WireFault(Exception):
    """The conversation cannot go on; the message says why in the words of evidence."""


class Closed(WireFault):
    """The other side ended the connection."""


class TlsFault(WireFault):
    """Encryption could not be set up, or the certificate did not pass."""


@dataclass(frozen=True)
class Reply:
    code: int
    lines: tuple[str, ...]  # as received, made safe to show

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def good(self) -> bool:
        return 200 <= self.code < 400


class Wire(Protocol):
    """One SMTP conversation, live or recorded. `clock` is in seconds; all but clock raise WireFault.
    live: commands may be sent ahead of answers. certificate_until: end of a certificate that was checked, once
    encryption began."""

    live: bool
    certificate_until: datetime | None

    def reply(self) -> Reply: ...

    def send(self, line: bytes, shown: str) -> None: ...

    def start_tls(self) -> str:
        """Evidence of the encryption, such as "TLSv1.3, certificate valid"."""
        ...

    def clock(self) -> float: ...


def shown(line: bytes | str) -> str:
    """Remote text as one short, safe line."""
    text = clean.line(line)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def read_reply(next_line: Callable[[], bytes], heard: Callable[[str], None]) -> Reply:
    """One reply, whatever its number of lines. `next_line` gives a line without its end, or raises WireFault."""
    lines: list[str] = []
    while len(lines) < LINES:
        raw = next_line()
        found = _REPLY.fullmatch(raw)
        heard(shown(raw))
        if not found:
            raise WireFault(f"The answer is not SMTP: {shown(raw)[:120]}")
        lines.append(shown(raw))
        if found[2] != b"-":
            return Reply(int(found[1]), tuple(lines))
    raise WireFault(f"The answer is not SMTP: more than {LINES} lines in one reply")
