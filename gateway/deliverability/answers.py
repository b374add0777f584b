"""What a DNS question brings back. Everything that judges records is pure over a `Lookup`."""

from collections.abc import Callable
from dataclasses import dataclass

FOUND, EMPTY, NXDOMAIN, UNKNOWN = "found", "empty", "nxdomain", "unknown"


@dataclass(frozen=True)
class Answer:
    """status: found | empty (the name exists, no such record) | nxdomain | unknown (time-out, SERVFAIL, refused).

    values: text of each record: TXT with its strings joined (latin-1), MX "10 host.name", others as addresses or names
    without the last dot. alias: the first CNAME's target. ttl: seconds left, of a "no" as well. detail: why it is
    unknown, or leads nowhere."""

    status: str
    values: tuple[str, ...] = ()
    ttl: int = 0
    alias: str = ""
    detail: str = ""

    @property
    def known(self) -> bool:
        return self.status != UNKNOWN

    @property
    def void(self) -> bool:
        return self.status in (EMPTY, NXDOMAIN)


Lookup = Callable[[str, str], Answer]  # (name without last dot, "TXT" | "MX" | "A" | "AAAA" | "PTR" | "CNAME" | "NS")


def valid_name(name: str) -> bool:
    """Whether `name` can be asked for: labels of 1 to 63 characters, at least two of them, 253 characters in all."""
    labels = name.split(".")
    return len(labels) > 1 and len(name) <= 253 and all(0 < len(label) <= 63 for label in labels)
