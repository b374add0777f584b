"""All ports of a provider tried at once from the server: one script, one time-out."""

import contextlib
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.providers import presets
from gateway.providers.preset import Preset
from servers.remote import clean
from servers.remote.command import shell
from servers.remote.host import Host, Limits

WAIT = 6  # seconds for everything: connections, greetings, EHLO
LIMITS = Limits(total=WAIT + 30, idle=WAIT + 20)
COMMON = (25, 465, 587, 2525, 2587)
_MOST_ADDRESSES = 4
_STATES = ("open", "refused", "silent", "unreachable")


@dataclass(frozen=True)
class Seen:
    """What one port of one address did.

    state: open | refused | silent (no answer at all) | unreachable (the network says it knows no way). words: the
    system's own for what failed. greeting, offers: first lines in clear text and the words of EHLO. tls: it answered a
    TLS hello.
    """

    address: str
    port: int
    state: str
    ms: int = 0
    greeting: str = ""
    offers: tuple[str, ...] = ()
    tls: bool = False
    words: str = ""

    @property
    def smtp(self) -> bool:
        return self.greeting.startswith("220")

    @property
    def starttls(self) -> bool:
        return "STARTTLS" in self.offers

    @property
    def name(self) -> str:
        """Who greets: the first word after the code."""
        words = self.greeting[4:].split()
        return words[0].rstrip(".").lower() if self.smtp and words else ""


def ports(preset: Preset, port: int, tls: str) -> dict[int, str]:
    """What to try beside the chosen port: the usual ones and the provider's own, with the encryption to expect."""
    known = {usual: presets.tls_for_port(usual) for usual in COMMON} | dict(preset.ports)
    return {port: tls} | known


@dataclass(frozen=True)
class Scan:
    """words: why the name has no address; then `seen` is empty. ms: how long the name took, where the scan asked."""

    seen: tuple[Seen, ...] = ()
    words: str = ""
    ms: int = 0


def scan(host: Host, name: str, addresses: tuple[str, ...], ports: dict[int, str], helo: str) -> Scan:
    """ports: number -> "starttls" | "implicit" | "none", whose answer to expect. Raises RemoteError."""
    return parse(host.run(script(name, addresses, ports, helo), limits=LIMITS).stdout)


def script(name: str, addresses: tuple[str, ...] | None, ports: dict[int, str], helo: str) -> str:
    """addresses: None are looked up there. helo: "" is the server's own name."""
    wanted = [f"{port}:{'tls' if tls == 'implicit' else 'plain'}" for port, tls in ports.items()]
    tried = "?" if addresses is None else ",".join(spread(addresses))
    arguments = (str(WAIT), name, helo, _hello(name).hex(), tried, *wanted)
    return f"LC_ALL=C; export LC_ALL\n{shell('perl', '-e', _program(), *arguments)}\n"


def spread(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Up to two of each family, so that a dead one is seen beside a live one."""
    four = [address for address in addresses if ":" not in address]
    six = [address for address in addresses if ":" in address]
    return (*four[: _MOST_ADDRESSES // 2], *six[: _MOST_ADDRESSES // 2])


def parse(stdout: bytes) -> Scan:
    """What scan.pl printed; lines that are not its own are skipped."""
    seen, words, took = [], "", 0
    for line in stdout.decode("ascii", "replace").splitlines():
        fields = line.split(" ")
        if fields[0] == "N":
            words = clean.line(" ".join(fields[1:]))[:200]
        elif fields[0] == "R" and fields[-1].isdigit():
            took = int(fields[-1])
        elif len(fields) == 9 and fields[0] == "P" and fields[3] in _STATES:
            _, address, port, state, ms, greeting, offers, tls, said = fields
            told = [_text(one) for one in (greeting, offers, said)]
            lines = told[0].splitlines() or [""]
            seen.append(
                Seen(
                    address=clean.line(address),
                    port=int(port),
                    state=state,
                    ms=int(ms),
                    greeting=clean.line(lines[0])[:300],
                    offers=tuple(clean.line(one[4:]).upper()[:100] for one in told[1].splitlines()[1:40]),
                    tls=tls == "1",
                    words=clean.line(told[2])[:200],
                )
            )
    return Scan(tuple(seen), words, took)


def _text(hexed: str) -> str:
    return bytes.fromhex(hexed[1:]).decode("utf-8", "replace")


def _hello(name: str) -> bytes:
    """The first record a TLS client sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name.rstrip(".")).do_handshake()
    return sent.read()


@cache
def _program() -> str:
    return Path(__file__).with_name("scan.pl").read_text("utf-8")
