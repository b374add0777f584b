"""What a route is told: one alert in words. Pure."""

from dataclasses import dataclass
from datetime import datetime

_PREFIX = {"opened": "", "more": "Still failing: ", "closed": "Recovered: ", "test": ""}


@dataclass(frozen=True)
class Message:
    """event: opened | more | closed | test. names: some of the servers. url: absolute, of the panel."""

    event: str
    kind: str
    serious: bool
    title: str
    hint: str
    url: str
    count: int
    names: tuple[str, ...]
    opened_at: datetime
    closed_at: datetime | None = None
    alert: int | None = None

    @property
    def subject(self) -> str:
        return " ".join(f"[Fleetpost] {_PREFIX[self.event]}{self.title}".split())[:200]

    @property
    def body(self) -> str:
        lines = [f"{_PREFIX[self.event]}{self.title}", ""]
        if self.hint and self.event != "closed":
            lines += [self.hint, ""]
        if self.names:
            more = self.count - len(self.names)
            lines.append("Servers: " + ", ".join(self.names) + (f" and {more} more" if more > 0 else ""))
        lines.append(f"Since: {self.opened_at:%Y-%m-%d %H:%M} UTC")
        if self.closed_at:
            lines.append(f"Until: {self.closed_at:%Y-%m-%d %H:%M} UTC")
        return "\n".join([*lines, f"In the panel: {self.url}"])

    def as_json(self) -> dict:
        return {
            "event": self.event,
            "alert": self.alert,
            "kind": self.kind,
            "severity": "serious" if self.serious else "warning",
            "title": self.title,
            "hint": self.hint,
            "count": self.count,
            "servers": list(self.names),
            "opened_at": self.opened_at.isoformat(),
            "closed_at": self.closed_at.isoformat() if self.closed_at else None,
            "url": self.url,
        }


def trial(route: str, url: str, now: datetime) -> Message:
    """The message of the button "Send test alert"."""
    title = f"This is a test alert for the route {route}"
    return Message("test", "test", False, title, "Nothing. Nothing is wrong.", url, 0, (), now)
