"""One-time sign-in links: how people get in the first time, and again when a password is lost. There is no mail of our
own to send them by, so an administrator (or the terminal) hands them over."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import Role, SignInLink, User

VALID_FOR = timedelta(hours=24)
UNNAMED = "first-administrator@localhost"  # until the person who opens the first link gives their own address


class LinkSpent(Exception):
    """The link is unknown, used or past its time: which of them is not told."""

    hint = "Ask an administrator for a new link, or run `manage.py sign_in_link` on the panel's machine."


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _open():
    return SignInLink.objects.filter(used_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True)


@transaction.atomic
def make(user: User, valid_for: timedelta = VALID_FOR) -> str:
    """The token, which exists nowhere else: only its hash is stored."""
    now = timezone.now()
    SignInLink.objects.filter(Q(used_at__isnull=False) | Q(expires_at__lt=now)).delete()
    token = secrets.token_urlsafe(32)
    SignInLink.objects.create(user=user, token_hash=_hash(token), expires_at=now + valid_for)
    return token


def path(token: str) -> str:
    return reverse("sign_in_link", args=[token])


def url(token: str) -> str:
    """On the configured address of the panel: a Host header has no say in it."""
    return settings.SITE_URL + path(token)


@transaction.atomic
def for_first_administrator() -> str | None:
    """A token while no administrator has chosen a password yet, else None."""
    administrators = User.objects.filter(role=Role.ADMINISTRATOR, is_active=True)
    if administrators.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX).exists():
        return None
    first = administrators.first()
    if first is None:
        first = User.objects.create_user(UNNAMED, role=Role.ADMINISTRATOR)
        audit.record(None, "made the first administrator", first)
    return make(first)


def owner(token: str) -> User:
    """Whose link this is, without using it up. Raises LinkSpent."""
    link = _open().filter(token_hash=_hash(token)).select_related("user").first()
    if link is None:
        raise LinkSpent
    return link.user


@transaction.atomic
def redeem(token: str) -> User:
    """Uses up the link and the person's other links, and ends the old password with every session it opened. Raises
    LinkSpent."""
    person = owner(token)
    # Without a join: PostgreSQL looks again at the row it waited for, but not at a subquery.
    unused = SignInLink.objects.filter(token_hash=_hash(token), used_at__isnull=True)
    if unused.update(used_at=timezone.now()) != 1:
        raise LinkSpent
    withdraw(person)
    person.set_unusable_password()
    person.save(update_fields=["password"])
    audit.record(person, "used a sign-in link", person)
    return person


def withdraw(person: User) -> None:
    """Ends the links somebody was given and has not used."""
    SignInLink.objects.filter(user=person, used_at__isnull=True).update(used_at=timezone.now())
