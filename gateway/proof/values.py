"""What a proof is made of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.providers.replies import Explanation
from servers.remote.secret import Secret

TITLES = {
    "name": "Name lookup",
    "tcp": "Connection",
    "greeting": "Greeting",
    "tls": "Encryption",
    "auth": "Sign-in",
    "mail_from": "Sender",
    "rcpt_to": "Recipient",
    "path": "Postfix itself",
}


class Relay(Protocol):
    """The part of `gateway.postfix.spec.Relay` a proof reads. tls: "starttls" | "implicit" | "none"."""

    host: str
    port: int
    tls: str
    verify: bool
    username: str
    password: Secret | None
    helo_name: str


@dataclass(frozen=True)
class Stage:
    """state: ok | warn | fail | unknown | skipped. evidence: the other side's exact words, secrets masked.
    certificate_until: end of the certificate, where it was checked."""

    name: str
    state: str
    evidence: str
    ms: int = 0
    explanation: Explanation | None = None
    certificate_until: datetime | None = None

    @property
    def title(self) -> str:
        return TITLES[self.name]


@dataclass(frozen=True)
class Proof:
    """way: "tunnel" (the panel spoke through the server), "server" (the server's own tools spoke), "none".

    transcript: lines that start with "S: ", "C: " or "* ", secrets masked. notes: sentences for a person.
    """

    stages: tuple[Stage, ...]
    way: str
    transcript: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing was refused. What could not be tried is not counted against it: see `proven`."""
        return self.blocker is None

    @property
    def proven(self) -> bool:
        """Every stage was tried and passed, or is not needed by this relay."""
        return self.ok and all(stage.state != "unknown" for stage in self.stages)

    @property
    def certificate_until(self) -> datetime | None:
        """Until when the provider's certificate is valid; None where it was not checked or not read."""
        return next((stage.certificate_until for stage in self.stages if stage.certificate_until), None)

    @property
    def blocker(self) -> Stage | None:
        return next((stage for stage in self.stages if stage.state == "fail"), None)
