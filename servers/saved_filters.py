"""Searches of the server list that people keep under a name; everybody has their own."""

from urllib.parse import parse_qsl, urlencode

from django.core.exceptions import ValidationError
from django.db import transaction

from controlpanel.access.models import User
from servers.models import SavedFilter

MOST = 50


def of(user: User) -> list[SavedFilter]:
    return list(SavedFilter.objects.filter(user=user)[:MOST])


def normal(query: str) -> str:
    """Without the page: a filter begins at the first."""
    return urlencode([(name, value) for name, value in parse_qsl(query) if name != "page"])


def keep(user: User, name: str, query: str) -> SavedFilter:
    """Under a name that is taken it replaces what was there. Raises ValidationError."""
    kept = SavedFilter(user=user, name=name.strip(" "), query=normal(query))
    if not kept.query:
        raise ValidationError("There is nothing to keep: search or choose a filter first.")
    kept.clean_fields(exclude=["user"])
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # two at once must not pass the limit
        others = SavedFilter.objects.filter(user=user).exclude(name=kept.name).count()
        if others >= MOST:
            raise ValidationError(f"{MOST} filters are kept at most. Delete one first.")
        return SavedFilter.objects.update_or_create(user=user, name=kept.name, defaults={"query": kept.query})[0]


def delete(user: User, pk: int) -> bool:
    """False: this person has none of this number; somebody else's are left alone."""
    return bool(SavedFilter.objects.filter(user=user, pk=pk).delete()[0])
