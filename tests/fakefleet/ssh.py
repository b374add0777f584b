"""The server's side of SSH, as little of it as paramiko needs: one key exchange, one cipher, everybody is let in.

Written by hand because the fake servers share two cores with the panel they measure: a whole handshake costs about a
millisecond here.
"""

import asyncio
import hashlib
import os
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION = b"SSH-2.0-fakefleet"
_NAMES = (  # key exchange, host key, then each twice: cipher, MAC (not used with GCM), compression, language
    b"curve25519-sha256@libssh.org,curve25519-sha256",
    b"ssh-ed25519",
    *[b"aes128-gcm@openssh.com"] * 2,
    *[b"hmac-sha2-256"] * 2,
    *[b"none"] * 2,
    *[b""] * 2,
)
WINDOW = 0x7FFF_FFFF
_PART = 32_000  # bytes of one data message


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def number(value: bytes) -> bytes:
    """An SSH mpint of unsigned bytes."""
    value = value.lstrip(b"\0")
    return text(b"\0" + value if value and value[0] & 0x80 else value)


def public(key: Ed25519PrivateKey) -> bytes:
    """The key as SSH shows it."""
    return text(b"ssh-ed25519") + text(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


_KEXINIT = b"\x14" + os.urandom(16) + b"".join(map(text, _NAMES)) + b"\0" + bytes(4)


def _take(packet: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + int.from_bytes(packet[at : at + 4], "big")
    return packet[at + 4 : end], end


class Channel:
    """One command: `stdin` whole, then whatever `write` says, then `close`."""

    def __init__(self, connection: "Connection", peer: int, window: int):
        self._connection, self._peer, self._window = connection, peer, window
        self._room = asyncio.Event()
        self.stdin = bytearray()
        self.closed = False

    def grow(self, count: int) -> None:
        self._window += count
        self._room.set()

    def write(self, data: bytes) -> None:
        """For answers that fit the window; more goes through `pour`."""
        if not self.closed:
            self._window -= len(data)
            for start in range(0, len(data), _PART):
                self._connection.send(b"\x5e" + struct.pack(">I", self._peer) + text(data[start : start + _PART]))

    async def pour(self, data: bytes) -> None:
        """Waits for the client's window, as a server with much to say does."""
        while not self.closed and self._window < len(data):
            self._room.clear()
            await self._room.wait()
        self.write(data)

    def close(self, status: int) -> None:
        if not self.closed:
            self.closed = True
            peer = struct.pack(">I", self._peer)
            self._connection.send(b"\x62" + peer + text(b"exit-status") + b"\0" + struct.pack(">I", status))
            self._connection.send(b"\x60" + peer)
            self._connection.send(b"\x61" + peer)

    def strand(self) -> None:
        """Begins a change of keys and never ends it."""
        self._connection.fall_silent(_KEXINIT)

    def cut(self) -> None:
        self.closed = True
        self._room.set()


class Connection(asyncio.Protocol):
    """welcome(address) gives what plays the server there: `greet(channel)` at the command, `answer(channel)` when its
    stdin is whole; None for a server that takes the connection and never says a word."""

    def __init__(self, key: Ed25519PrivateKey, welcome):
        self._key, self._welcome = key, welcome
        self._in, self._client, self._client_init = bytearray(), b"", b""
        self._seal = self._open = self._open_next = None
        self._channels: dict[int, Channel] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._wire = transport
        if not transport.get_extra_info("peername")[0].startswith("127."):
            transport.abort()  # the port is open to the network, the fleet is not
            return
        self._server = self._welcome(transport.get_extra_info("sockname")[0])
        if self._server is not None:
            transport.write(VERSION + b"\r\n" + self._framed(_KEXINIT))

    def connection_lost(self, error) -> None:
        for channel in self._channels.values():
            channel.cut()

    def data_received(self, data: bytes) -> None:
        if self._server is None:
            return
        self._in += data
        if not self._client:
            line, found, rest = bytes(self._in).partition(b"\n")
            if not found:
                return
            self._client, self._in = line.rstrip(b"\r"), bytearray(rest)
        while (packet := self._packet()) is not None:
            self._handle(packet)

    def _packet(self) -> bytes | None:
        if len(self._in) < 4:
            return None
        size = int.from_bytes(self._in[:4], "big")
        whole = size + 4 + (16 if self._open else 0)
        if len(self._in) < whole:
            return None
        body = bytes(self._in[4:whole])
        if self._open:
            body = self._open(bytes(self._in[:4]), body)
        del self._in[:whole]
        return body[1 : size - body[0]]

    def send(self, payload: bytes) -> None:
        if not self._wire.is_closing():
            self._wire.write(self._framed(payload))

    def fall_silent(self, last: bytes) -> None:
        self.send(last)
        self._server = None

    def _framed(self, payload: bytes) -> bytes:
        # GCM leaves the length out of what must be a multiple of the block.
        padding = -(len(payload) + 1 + (0 if self._seal else 4)) % 16
        padding += 16 if padding < 4 else 0
        body = bytes([padding]) + payload + bytes(padding)
        size = struct.pack(">I", len(body))
        return size + (self._seal(size, body) if self._seal else body)

    def _handle(self, packet: bytes) -> None:
        handler = _HANDLERS.get(packet[0])
        if handler:
            handler(self, packet)

    def _on_kexinit(self, packet: bytes) -> None:
        self._client_init = packet

    def _on_kex(self, packet: bytes) -> None:
        theirs, _ = _take(packet, 1)
        ours = X25519PrivateKey.generate()
        shown = ours.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        shared = number(ours.exchange(X25519PublicKey.from_public_bytes(theirs)))
        parts = (self._client, VERSION, self._client_init, _KEXINIT, public(self._key), theirs, shown)
        digest = hashlib.sha256(b"".join(map(text, parts)) + shared).digest()
        signature = text(b"ssh-ed25519") + text(self._key.sign(digest))
        self.send(b"\x1f" + text(public(self._key)) + text(shown) + text(signature))
        self.send(b"\x15")

        def derive(letter: bytes) -> bytes:
            return hashlib.sha256(shared + digest + letter + digest).digest()

        self._open_next = _cipher(AESGCM(derive(b"C")[:16]).decrypt, derive(b"A")[:12])
        self._seal = _cipher(AESGCM(derive(b"D")[:16]).encrypt, derive(b"B")[:12])

    def _on_newkeys(self, packet: bytes) -> None:
        self._open = self._open_next

    def _on_service(self, packet: bytes) -> None:
        self.send(b"\x06" + packet[1:])

    def _on_sign_in(self, packet: bytes) -> None:
        _, at = _take(packet, 1)
        _, at = _take(packet, at)
        method, at = _take(packet, at)
        if method == b"none":
            self.send(b"\x33" + text(b"publickey,password") + b"\0")
        else:
            self.send(b"\x34")

    def _on_open(self, packet: bytes) -> None:
        _, at = _take(packet, 1)
        peer, window, _ = struct.unpack(">III", packet[at : at + 12])
        self._channels[peer] = Channel(self, peer, window)
        self.send(b"\x5b" + struct.pack(">IIII", peer, peer, WINDOW, 32_768))

    def _channel(self, packet: bytes) -> Channel:
        return self._channels[int.from_bytes(packet[1:5], "big")]

    def _on_request(self, packet: bytes) -> None:
        kind, at = _take(packet, 5)
        if packet[at]:
            self.send((b"\x63" if kind == b"exec" else b"\x64") + packet[1:5])
        if kind == b"exec":
            self._server.greet(self._channel(packet))

    def _on_data(self, packet: bytes) -> None:
        self._channel(packet).stdin += packet[9:]

    def _on_eof(self, packet: bytes) -> None:
        self._server.answer(self._channel(packet))

    def _on_window(self, packet: bytes) -> None:
        self._channel(packet).grow(int.from_bytes(packet[5:9], "big"))

    def _on_close(self, packet: bytes) -> None:
        channel = self._channels.pop(int.from_bytes(packet[1:5], "big"), None)
        if channel and not channel.closed:
            channel.cut()
            self.send(b"\x61" + packet[1:5])

    def _on_question(self, packet: bytes) -> None:
        _, at = _take(packet, 1)
        if packet[at]:
            self.send(b"\x52")

    def _on_farewell(self, packet: bytes) -> None:
        self._wire.close()


def _cipher(method, nonce: bytes):
    """encrypt or decrypt with a nonce that counts the packets."""
    fixed, count = nonce[:4], int.from_bytes(nonce[4:], "big")

    def run(size: bytes, body: bytes) -> bytes:
        nonlocal count
        used = fixed + count.to_bytes(8, "big")
        count = (count + 1) & 0xFFFF_FFFF_FFFF_FFFF
        return method(used, body, size)

    return run


_HANDLERS = {
    1: Connection._on_farewell,
    5: Connection._on_service,
    20: Connection._on_kexinit,
    21: Connection._on_newkeys,
    30: Connection._on_kex,
    50: Connection._on_sign_in,
    80: Connection._on_question,
    90: Connection._on_open,
    93: Connection._on_window,
    94: Connection._on_data,
    96: Connection._on_eof,
    97: Connection._on_close,
    98: Connection._on_request,
}
