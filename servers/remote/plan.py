"""What is to be done on a server, as values: a plan can be shown, compared and counted before anything happens."""

from dataclasses import dataclass, field

from servers.remote.secret import Secret


@dataclass(frozen=True)
class File:
    """Content delivered on stdin to a staging file that is 0600 from birth; the step moves it to `path`."""

    path: str
    content: bytes | Secret
    mode: int = 0o644


@dataclass(frozen=True)
class Step:
    """One named change.

    do:    POSIX sh run as root under `set -eu`, idempotent. `$FILES/0`, `$FILES/1` … are its staged `files`.
           It prints the line `::unchanged` when it found nothing to do.
    undo:  POSIX sh that puts back what `do` changed; run in reverse order when this or a later step fails.
    show:  the commands as a person would type them, secrets masked; what the preview prints.
    limit: seconds after which the step is ended and counts as failed.
    """

    slug: str
    title: str
    do: str
    undo: str = ""
    files: tuple[File, ...] = ()
    show: tuple[str, ...] = ()
    limit: int = 120


@dataclass(frozen=True)
class Refusal:
    """Why nothing is changed: `cause` is a stable slug, `what` one true sentence, `fix` the next move."""

    cause: str
    what: str
    fix: str


@dataclass(frozen=True)
class Plan:
    """An empty plan with no refusals means: the server already is as wanted."""

    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    diffs: dict[str, str] = field(default_factory=dict)  # path -> unified diff, secrets masked
    restarts: bool = False
    queued: int = 0  # messages in the server's queue when it was observed

    @property
    def empty(self) -> bool:
        return not self.steps and not self.refusals

    def secrets(self) -> tuple[Secret, ...]:
        return tuple(f.content for s in self.steps for f in s.files if isinstance(f.content, Secret))
