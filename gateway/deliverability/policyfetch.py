"""Fetching an MTA-STS policy by RFC 8461 section 3.3: no redirect, a certificate for the name, text/plain, 64 KB.

The panel talks from inside a network: the addresses are judged, and exactly what was judged is connected to."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Sequence

from gateway.deliverability.mtasts import Fetched
from servers.alerts import addresses
from servers.remote import clean

PATH = "/.well-known/mta-sts.txt"
LARGEST, SECONDS, TRIED = 64 * 1024, 10.0, 3


def fetch(
    host: str,
    found: Sequence[str],
    *,
    port: int = 443,
    local: bool = False,
    context: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> Fetched:
    """The policy of `host` from one of its addresses, within `seconds` in all. local: addresses inside this network are
    allowed. Never raises."""
    until = time.monotonic() + seconds
    try:
        for address in found:
            addresses.judge(address, local=local)
    except addresses.Refused as error:
        return Fetched(fault=str(error))
    try:
        with _connect(found[:TRIED], port, until) as plain:
            plain.settimeout(_left(until))
            with (context or ssl.create_default_context()).wrap_socket(plain, server_hostname=host) as secure:
                return _get(secure, host, until)
    except TimeoutError:
        return Fetched(fault="it did not answer in time", unknown=True)
    except ssl.SSLCertVerificationError as error:
        return Fetched(fault=f"its certificate does not hold: {error.verify_message}")
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
        return Fetched(fault=clean.line(str(error))[:300] or type(error).__name__, unknown=True)


def _connect(found: Sequence[str], port: int, until: float) -> socket.socket:
    last: OSError | None = None
    for address in found:
        try:
            return socket.create_connection((address, port), timeout=_left(until) / 2)
        except OSError as error:
            last = error
    raise last or OSError("the name has no address")


def _get(secure: ssl.SSLSocket, host: str, until: float) -> Fetched:
    lines = (f"GET {PATH} HTTP/1.1", f"Host: {host}", "User-Agent: Fleetpost", "Connection: close", "")
    secure.sendall("".join(f"{line}\r\n" for line in lines).encode("ascii"))
    response = http.client.HTTPResponse(_Patient(secure, until), method="GET")
    response.begin()
    kind = clean.line(response.headers.get("content-type", "not given"))[:80]
    if 300 <= response.status < 400:
        return Fetched(fault="it redirects elsewhere, which senders do not follow")
    if response.status != 200:
        return Fetched(fault=f"the server answers {response.status} {clean.line(response.reason)[:80]}".strip())
    if kind.partition(";")[0].strip().lower() != "text/plain":
        return Fetched(fault=f"its type is {kind}, not text/plain")
    body = response.read(LARGEST + 1)
    if len(body) > LARGEST:
        return Fetched(fault="it is larger than 64 KB")
    return Fetched(clean.text(body.decode("utf-8", "replace")))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Patient(io.RawIOBase):
    """A socket to HTTPResponse; each read waits only for what is left of the time, so that a trickle cannot hold it."""

    def __init__(self, connection: ssl.SSLSocket, until: float):
        self._connection, self._until = connection, until

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        self._connection.settimeout(_left(self._until))
        return self._connection.recv_into(buffer)
