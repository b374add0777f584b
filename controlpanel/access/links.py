"""One-time sign-in links: how people get in the first time, and again when a password is lost. There is no mail of our
own to send them by, so an administrator (or the terminal) hands them over."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.models import SignInLink, User

VALID_FOR = timedelta(hours=24)


class LinkSpent(Exception):
    """The link is unknown, used or past its time: which of them is not told."""

    hint = "Ask an administrator for a new link, or run `manage.py sign_in_link` on the panel's machine."


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def make(user: User, valid_for: timedelta = VALID_FOR) -> str:
    """The whole URL, which exists nowhere else: only its hash is stored. Earlier links of the person end."""
    now = timezone.now()
    SignInLink.objects.filter(user=user, used_at__isnull=True).update(used_at=now)
    token = secrets.token_urlsafe(32)
    SignInLink.objects.create(user=user, token_hash=_hash(token), expires_at=now + valid_for)
    return settings.SITE_URL + reverse("sign_in_link", args=[token])


def owner(token: str) -> User:
    """Whose link this is, without using it up. Raises LinkSpent."""
    link = _open().filter(token_hash=_hash(token)).select_related("user").first()
    if link is None:
        raise LinkSpent
    return link.user


@transaction.atomic
def redeem(token: str) -> User:
    """Uses the link up and ends the person's old password, with every session it opened. Raises LinkSpent."""
    person = owner(token)
    if _open().filter(token_hash=_hash(token)).update(used_at=timezone.now()) != 1:
        raise LinkSpent
    person.set_unusable_password()
    person.save(update_fields=["password"])
    return person


def _open():
    return SignInLink.objects.filter(used_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True)
