"""Which troubles are one alert, and when there is news of it. Pure."""

import re
from datetime import datetime, timedelta
from hashlib import sha256

GATHER = timedelta(seconds=60)  # servers that fail for one cause do so within a minute of each other
AGAIN = timedelta(minutes=30)  # an alert that grows is told anew this often at most
OPENED, MORE, CLOSED = "opened", "more", "closed"


def key(kind: str, cause: str, provider: str, text: str, names: tuple[str, ...] = ()) -> str:
    """The same for troubles of one cause at one provider. Without a cause the words count, with the server's own names
    (name, address) left out of them."""
    words = "" if cause else nameless(text, names)
    return sha256(repr((kind, cause, provider, words)).encode()).hexdigest()


def nameless(text: str, names: tuple[str, ...]) -> str:
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "the server", text, flags=re.IGNORECASE)
    return re.sub(r"^the server\b", "The server", text)


def title(text: str, count: int, name: str = "") -> str:
    """The alert in one line: "Provider Main refuses the password: 300 servers"."""
    text = text.strip().rstrip(".")
    if count > 1:
        return f"{text}: {count} servers"
    return f"{text}: {name}" if name and name not in text else text


def news(
    opened_at: datetime,
    closed_at: datetime | None,
    count: int,
    told_count: int,
    told_at: datetime | None,
    now: datetime,
) -> str:
    """OPENED, MORE or CLOSED when the routes have something new to hear, else "".

    count: troubles the alert ever had. told_at: when the routes last heard of it; None: never. What is over before it
    was told is not told at all.
    """
    if closed_at:
        return CLOSED if told_at else ""
    if told_at is None:
        return OPENED if now - opened_at >= GATHER else ""
    return MORE if count > told_count and now - told_at >= AGAIN else ""
