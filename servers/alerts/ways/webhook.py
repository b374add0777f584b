"""An alert as a signed JSON POST. Signed is `<timestamp>.<body>` with HMAC-SHA256; the receiver refuses old timestamps.
No redirect is followed and no proxy asked: the address that was judged is the one that gets it."""

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from servers.alerts import addresses
from servers.alerts.message import Message
from servers.alerts.models import Route
from servers.alerts.ways import NotSent
from servers.fields import Unreadable
from servers.remote import clean
from servers.remote.secret import Secret

TIMEOUT = 15
TOTAL = 45  # seconds for one delivery
ANSWER = 2000  # bytes of the answer that are read


def sign(secret: Secret, timestamp: str, body: bytes) -> str:
    signed = hmac.new(secret.reveal(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={signed.hexdigest()}"


def send(route: Route, message: Message) -> str:
    body = json.dumps(message.as_json(), ensure_ascii=False).encode()
    timestamp = str(int(time.time()))
    headers = {"Content-Type": "application/json", "User-Agent": "Fleetpost", "Fleetpost-Timestamp": timestamp}
    try:
        if (secret := route.secret) is not None:
            headers["Fleetpost-Signature"] = sign(secret, timestamp, body)
        code, reason, answer = _post(route, body, headers)
    except addresses.Refused as error:
        raise NotSent(f"{error} {error.hint}", final=True) from error
    except Unreadable as error:
        raise NotSent(f"{error}. {error.hint}", final=True) from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise NotSent(clean.line(str(error))[:500] or type(error).__name__) from error
    told = clean.line(f"{code} {reason} {' '.join(answer.decode('utf-8', 'replace').split())}").strip()[:500]
    if not 200 <= code < 300:
        raise NotSent(told)
    return told


def _post(route: Route, body: bytes, headers: dict) -> tuple[int, str, bytes]:
    url = urlsplit(route.address)
    secure = url.scheme == "https"
    host, port = url.hostname or "", url.port or (443 if secure else 80)
    found = addresses.resolve(host, port, local=route.allow_local)
    client = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    client.sock = _connect(found, port)
    # A time-out alone begins anew with every byte. A handle of its own: `client` drops its socket as soon as an answer
    # says that it is the last, and goes on reading.
    handle = client.sock.dup()
    end = threading.Timer(TOTAL, _hang_up, (handle,))
    end.start()
    try:
        if secure:
            context = ssl.create_default_context()
            client.sock = context.wrap_socket(client.sock, server_hostname=host, do_handshake_on_connect=False)
            client.sock.do_handshake()
        path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        client.request("POST", path, body=body, headers=headers | {"Host": url.netloc.rpartition("@")[2]})
        response = client.getresponse()
        return response.status, response.reason, response.read(ANSWER)
    finally:
        end.cancel()
        client.close()
        handle.close()


def _hang_up(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def _connect(found: list[str], port: int) -> socket.socket:
    last: OSError | None = None
    for address in found[:3]:
        try:
            return socket.create_connection((address, port), timeout=TIMEOUT)
        except OSError as error:
            last = error
    raise last or OSError("The name has no address.")
