"""One command's streams, drained in one loop: written and read in turn, so neither side can block the other."""

import threading
import time
from collections.abc import Callable

from servers.remote.errors import Deadline, LostContact, Silent
from servers.remote.host import Limits

CHUNK = 1 << 20
TAIL = 64 * 1024
AFTERWARDS = 0.5  # seconds a finished command's left-over children may still print before the channel is closed


class Capture:
    """The first and the last bytes of a stream, at most `limit` together; `lost` counts what lay between."""

    def __init__(self, limit: int):
        self._tail_size = min(TAIL, limit // 4)
        self._head_size = limit - self._tail_size
        self._head = bytearray()
        self._tail = bytearray()
        self.lost = 0

    def add(self, data: bytes) -> None:
        room = self._head_size - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self.lost += max(0, len(data) - self._tail_size)
            self._tail += data[-self._tail_size :] if self._tail_size else b""
            surplus = len(self._tail) - self._tail_size
            if surplus > 0:
                self.lost += surplus
                del self._tail[:surplus]

    def content(self) -> bytes:
        gap = b"\n[... %d bytes left out ...]\n" % self.lost if self.lost else b""
        return bytes(self._head) + gap + bytes(self._tail)


class Wake:
    """An event for both streams: paramiko clears a stream's event when that stream runs dry, the other may not be."""

    def __init__(self):
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        pass

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)
        self._event.clear()


class Pump:
    """Moves bytes between `channel` and its two readers until told otherwise, within `limits`.

    channel: a paramiko Channel. alive: says whether the link still stands. Raises Deadline, Silent, LostContact.
    """

    def __init__(self, channel, limits: Limits, alive: Callable[[], bool]):
        self._channel, self._limits, self._alive = channel, limits, alive
        self._wake = Wake()
        self._outgoing = memoryview(b"")
        self._closing = False
        self._started = self._moved = time.monotonic()
        channel.settimeout(0.0)
        channel.in_buffer.set_event(self._wake)
        channel.in_stderr_buffer.set_event(self._wake)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def send(self, data: bytes, last: bool) -> None:
        self._outgoing, self._closing = memoryview(data), last

    def turn(self, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]) -> bool:
        """Moves what can be moved, waiting a little for it. False when the command has ended and all is read."""
        moved = self._write()
        moved = self._read(self._channel.recv_ready, self._channel.recv, on_stdout) or moved
        moved = self._read(self._channel.recv_stderr_ready, self._channel.recv_stderr, on_stderr) or moved
        now = time.monotonic()
        if moved:
            self._moved = now
        elif self._ended(now):
            return False
        if now - self._started > self._limits.total:
            raise Deadline(f"The command took longer than {self._limits.total:.0f} s and was ended.")
        if now - self._moved > self._limits.idle:
            raise Silent(f"The command printed nothing for {self._limits.idle:.0f} s and was ended.")
        if not moved:
            # A window that opens for writing rings no bell.
            self._wake.wait(0.01 if self._outgoing else 0.1)
        return True

    def _write(self) -> bool:
        sent = 0
        if self._outgoing and not self._channel.closed:
            try:
                sent = self._channel.send(self._outgoing[: 1 << 15].tobytes())
            except TimeoutError:
                return False
            except (OSError, EOFError):
                self._outgoing = memoryview(b"")
            self._outgoing = self._outgoing[sent:]
        if self._closing and not self._outgoing:
            self._closing = False
            self._channel.shutdown_write()
        return sent > 0

    def _read(self, is_ready, receive, deliver) -> bool:
        if not is_ready():
            return False
        deliver(receive(CHUNK))
        return True

    def _ended(self, now: float) -> bool:
        channel = self._channel
        if channel.exit_status_ready() and channel.exit_status >= 0:
            # A daemon started without redirection keeps the streams open for ever.
            return channel.eof_received or channel.closed or now - self._moved > AFTERWARDS
        if not self._alive():
            raise LostContact()
        return channel.closed
