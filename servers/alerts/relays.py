"""SMTP accounts an e-mail route can send through. The floor that has such accounts registers itself here."""

from collections.abc import Callable
from dataclasses import dataclass

from servers.remote.secret import Secret


@dataclass(frozen=True)
class Relay:
    """tls: "starttls" | "implicit" | "none"."""

    name: str
    host: str
    port: int
    tls: str
    verify: bool
    username: str
    password: Secret | None


@dataclass(frozen=True)
class Source:
    """choices: () -> [(id, name)]. find: id -> Relay, or None when it is gone; raises what opening a seal raises."""

    choices: Callable[[], list[tuple[str, str]]]
    find: Callable[[object], Relay | None]


_source = Source(choices=list, find=lambda ident: None)


def register(source: Source) -> None:
    global _source
    _source = source


def choices() -> list[tuple[str, str]]:
    return _source.choices()


def find(ident) -> Relay | None:
    return _source.find(ident) if ident else None
