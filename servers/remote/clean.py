"""Text from servers, made safe to store and to show: no terminal codes, no invisible characters, bounded lines."""

import re

LINE = 2000  # characters; longer ones are cut and say so

_TERMINAL = re.compile(
    r"\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\|(?=\x1b)|$)"  # OSC: window titles, hyperlinks
    r"|\x1b[PX^_][^\x1b]{0,4096}(?:\x1b\\|$)"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]?"  # CSI
    r"|\x1b[ -/]{0,16}[0-~]?",
    re.MULTILINE,
)
# C0 without tab and newline, DEL, C1, zero-width and bidirectional controls (CVE-2021-42574), BOM, surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def text(raw: bytes | str) -> str:
    """`raw` as plain text: undecodable bytes become U+FFFD, carriage returns line ends, lines are at most LINE long."""
    decoded = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    decoded = _TERMINAL.sub("", decoded).replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(_cut(piece) for piece in _INVISIBLE.sub("", decoded).split("\n"))


def line(raw: bytes | str) -> str:
    """`raw` as one line of plain text."""
    return _cut(" ".join(text(raw).split("\n")).strip())


def _cut(piece: str) -> str:
    return piece if len(piece) <= LINE else piece[:LINE] + " […]"
