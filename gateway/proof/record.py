"""A conversation that already took place on the server, read back from the frames of `script.py`."""

from collections.abc import Callable

from gateway.proof import wire

_STOPS = {
    "timeout": "no {what} within {patience} s",
    "closed": "connection closed by the SMTP server",
    "long": "not SMTP",
}


class RecordedWire:
    """A `wire.Wire` over the script's output. Nothing the SMTP server says can forge a frame: it has one line each."""

    live = False

    def __init__(self, stdout: bytes, heard: Callable[[str], None], patience: int):
        self._frames = [(line[:1], line[2:]) for line in stdout.split(b"\n") if line[1:2] in (b" ", b"")]
        self._heard, self._patience = heard, patience
        self._clock, self._at, self._answered = 0.0, 0, False
        self.certificate_until = None  # `openssl s_client -brief` does not tell

    def clock(self) -> float:
        """Seconds at the frame just read, by the server's clock."""
        return self._clock

    def connected(self) -> str:
        """The words of the failure, or "" when the port answered."""
        words = []
        while self._at < len(self._frames):
            kind, content = self._next()
            if kind == b"P":
                return ""
            if kind in (b"E", b"X"):
                words.append(wire.shown(content))
        # bash says it twice, and the second time a name that is not found becomes an "invalid argument".
        named = [word.rpartition(": ")[2] for word in words if word not in ("refused", "")]
        return named[0] if named else "no connection within the time for the whole check"

    def reply(self) -> wire.Reply:
        found = wire.read_reply(self._line, lambda line: self._heard(f"S: {line}"))
        self._answered = True
        return found

    def send(self, line: bytes, shown: str) -> None:
        kind, content = self._next_of(b"C", b"X")
        if kind == b"X":
            self._stop(content)
        if content.decode("utf-8", "replace") != shown:
            raise wire.WireFault("the server's own check took another way than expected")
        self._heard(f"C: {shown}")

    def start_tls(self) -> str:
        self._next_of(b"N")
        said = [wire.shown(content) for kind, content in self._frames[self._at :] if kind == b"E"]
        if "CONNECTION ESTABLISHED" not in said:
            raise wire.TlsFault(_tls_words(said))
        facts = dict(line.split(": ", 1) for line in said if ": " in line)
        checked = "certificate valid" if facts.get("Verification") == "OK" else "certificate not checked"
        evidence = f"{facts.get('Protocol version', 'TLS')}, {facts.get('Ciphersuite', 'no cipher')}, {checked}"
        self._heard(f"* {evidence}")
        return evidence

    def _line(self) -> bytes:
        kind, content = self._next_of(b"S", b"X", b"C", b"N")
        if kind == b"X":
            self._stop(content)
        if kind != b"S":
            raise wire.WireFault("the server's own check took another way than expected")
        line = content.removesuffix(b"\r")
        if len(line) > wire.LINE:
            raise wire.WireFault(f"The answer is not SMTP: {wire.shown(line[:80])}")
        return line

    def _stop(self, word: bytes) -> None:
        what = "answer" if self._answered else "greeting"
        text = _STOPS.get(wire.shown(word), "The answer is not SMTP").format(what=what, patience=self._patience)
        raise (wire.Closed if word == b"closed" else wire.WireFault)(text)

    def _next_of(self, *wanted: bytes) -> tuple[bytes, bytes]:
        while self._at < len(self._frames):
            found = self._next()
            if found[0] in wanted:
                return found
        raise wire.WireFault("no answer within the time for the whole check")

    def _next(self) -> tuple[bytes, bytes]:
        kind, content = self._frames[self._at]
        self._at += 1
        if kind == b"T":
            seconds = content.decode("ascii", "replace")
            self._clock = float(seconds) if seconds.replace(".", "", 1).isdigit() else self._clock
        return kind, content


def _tls_words(said: list[str]) -> str:
    """The line that names the cause: the certificate check's own, else OpenSSL's error, else everything."""
    for sign in ("verify error:", "error:", "errno"):
        found = [line for line in said if sign in line]
        if found:
            return found[-1]
    return " ".join(said) or "encryption could not be set up"
