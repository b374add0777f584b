"""A connection that starts at the server: enough of a socket for smtplib and for ssl's MemoryBIO."""

import io


class Tunnel:
    """recv gives b"" at the end and raises TimeoutError; sending on a broken tunnel raises OSError."""

    def __init__(self, channel, timeout: float | None):
        self._channel = channel
        channel.settimeout(timeout)

    def recv(self, size: int) -> bytes:
        return self._channel.recv(size)

    def recv_into(self, buffer) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes) -> int:
        try:
            sent = self._channel.send(bytes(data))
        except EOFError:
            sent = 0
        if data and not sent:
            raise BrokenPipeError("the tunnel is closed")
        return sent

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest[: 1 << 15]) :]

    def settimeout(self, seconds: float | None) -> None:
        self._channel.settimeout(seconds)

    def gettimeout(self) -> float | None:
        return self._channel.gettimeout()

    def shutdown(self, how: int = 2) -> None:
        self._channel.shutdown(how)

    def close(self) -> None:
        self._channel.close()

    def makefile(self, mode: str = "rb", buffering: int = -1):
        """A buffered binary reader; closing it leaves the tunnel open, as with a socket."""
        if mode not in ("r", "rb"):
            raise ValueError("a tunnel's file is read only and binary")
        return io.BufferedReader(_Raw(self), buffering if buffering > 0 else io.DEFAULT_BUFFER_SIZE)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class _Raw(io.RawIOBase):
    def __init__(self, tunnel: Tunnel):
        self._tunnel = tunnel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._tunnel.recv_into(buffer)
