"""The wire as the rest of the house sees it: a host runs a script as root within limits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from servers.remote.secret import Secret


class RemoteError(Exception):
    """Something between the panel and the server went wrong. Subclasses name one cause each.

    cause: stable slug for grouping. hint: the next move, one sentence. Both may be set per instance.
    at_jump: it happened at a jump server on the way, not at the server itself.
    """

    cause = "remote"
    hint = ""
    at_jump = False

    def __init__(self, message: str = "", hint: str = ""):
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])
        if hint:
            self.hint = hint


@dataclass(frozen=True)
class PinnedKey:
    """A host key a person accepted: `kind` like "ssh-ed25519", `body` the base64 blob, as in known_hosts."""

    kind: str
    body: str


@dataclass(frozen=True)
class Login:
    """Everything needed to reach root on one server."""

    address: str
    port: int
    user: str
    pinned: tuple[PinnedKey, ...]
    private_key: Secret | None = None
    password: Secret | None = None
    sudo: str = "none"  # none (the user is root) | nopasswd | password
    sudo_password: Secret | None = None
    jump: "Login | None" = None

    def secrets(self) -> tuple[Secret, ...]:
        own = tuple(s for s in (self.private_key, self.password, self.sudo_password) if s is not None)
        return own + (self.jump.secrets() if self.jump else ())


@dataclass(frozen=True)
class Limits:
    """total, idle: seconds. output: bytes kept per stream; the rest is drained and counted as truncated."""

    total: float = 60.0
    idle: float = 30.0
    output: int = 1_000_000


@dataclass(frozen=True)
class Output:
    stdout: bytes
    stderr: bytes
    status: int  # exit status; 128+n when ended by signal n
    seconds: float
    truncated: bool = False

    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class Host(Protocol):
    """One open connection to one server."""

    def run(
        self,
        script: str | Secret,
        *,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        on_stdout: Callable[[bytes], None] | None = None,
    ) -> Output:
        """Runs `script` with `sh` as root, the text travelling on stdin. Raises RemoteError."""
        ...

    def prepare(self, *, limits: Limits = Limits()) -> None:  # noqa: B008
        """Another script follows: root's shell is asked for meanwhile. Returns at once; what goes wrong is raised by
        that script's `run`."""
        ...

    def tunnel(self, name: str, port: int, *, limits: Limits = Limits()):  # noqa: B008
        """A socket-like stream from the server to name:port (direct-tcpip); the server resolves `name`.

        Raises TunnelRefused with sshd's own words.
        """
        ...

    def close(self) -> None: ...
