"""How servers stand, in the words of the list's filter, and the same as a condition in SQL."""

from django.db.models import Q

from servers import catalog
from servers.models import Server

WORDS = ("needs-you", "working", "absent", "checking", "unknown", "paused")


def shown() -> list[catalog.Service]:
    """Services with a column in the list and a card on the Services tab."""
    return [service for service in catalog.services() if not service.hidden]


def words() -> tuple[str, ...]:
    """The six, then what the services tell apart further."""
    return WORDS + tuple(dict.fromkeys(word for service in shown() for word in service.finer))


def standing(word: str) -> Q:
    """Servers with any service in this state; "needs-you" also takes those the panel cannot reach."""
    found = Q(reach__in=Server.TROUBLE) if word == "needs-you" else Q(pk__in=[])
    for service in shown():
        found |= service.in_state(word)
    return found
