"""Verbs on SMTP provider accounts. All check the same rules, so page, command line and import cannot differ."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import rules, validators, values
from gateway.models import Gateway, Smarthost
from gateway.values import Values
from servers.fields import Unreadable
from servers.models import Server
from servers.remote.secret import Secret

LOST = "The stored password does not open any more, because the key it was sealed with is missing. Type it again."
CANDIDATE_LIFE = timedelta(hours=1)  # values of a preview nobody installed


class InUse(Exception):
    """This SMTP provider is used by gateways and cannot be deleted."""

    hint = "Choose another provider on those servers, or uninstall their gateways, then delete it."


_hearers: list[Callable[[set[str]], None]] = []


def tell(hearer: Callable[[set[str]], None]) -> None:
    """How a floor above learns of every account that is saved: `hearer` is called within the same transaction with the
    domains it sends for and sent for before."""
    _hearers.append(hearer)


@transaction.atomic
def create(name: str, new: Values, *, by: User | None, default: bool = False) -> Smarthost:
    """A shared provider. Raises ValidationError by field."""
    smarthost = Smarthost(name=name.strip())
    _fill(smarthost, rules.settle(new))
    smarthost.full_clean()
    _save(smarthost)
    audit.record(by, "added", smarthost, **_detail(smarthost))
    if default:
        set_default(smarthost, by=by)
    return smarthost


@transaction.atomic
def change(smarthost: Smarthost, name: str, new: Values, *, by: User | None) -> tuple[Smarthost, bool]:
    """A shared provider, edited in place. The second value says that its password was wiped, because the account or
    its endpoint changed and no new password was typed. A replaced password is kept as the previous one while server,
    port and encryption stay; the user name may change with it."""
    old = Smarthost.objects.select_for_update().shared().get(pk=smarthost.pk)
    before = values.of(old)
    new = rules.settle(new)
    if new.password is not None and new.password == _password(old):
        new = replace(new, password=None if values.keeps_password(old, new) else new.password)
    wiped = old.has_password and new.password is None and not values.keeps_password(old, new)
    altered = replace(before, note="") != replace(new, note="", password=None, iam_secret=False)
    _remember(old, new, before)
    old.name = name.strip()
    _fill(old, new, wipe=wiped)
    after = values.of(old)
    if new.password is not None or wiped or altered:
        old.revision += 1
    if new.password is not None or wiped:
        old.password_revision = old.revision
    old.full_clean()
    _save(old, before.sending_domain)
    audit.record(by, "changed", old, password_wiped=wiped, **_changes(before, after), **_typed(new))
    return old, wiped


@transaction.atomic
def set_default(smarthost: Smarthost, *, by: User | None) -> None:
    """The one whose values [Load defaults] fills in, and that `gateway install` takes when told nothing."""
    Smarthost.objects.filter(is_default=True).exclude(pk=smarthost.pk).update(is_default=False)
    if Smarthost.objects.shared().filter(pk=smarthost.pk).update(is_default=True):
        audit.record(by, "made default", smarthost)


@transaction.atomic
def delete(smarthost: Smarthost, *, by: User | None) -> None:
    """Raises InUse while any gateway wants it or runs on it."""
    locked = Smarthost.objects.select_for_update().get(pk=smarthost.pk)
    if not Smarthost.objects.unused().filter(pk=locked.pk).exists():
        raise InUse
    audit.record(by, "deleted", locked, **_detail(locked))
    locked.delete()


@transaction.atomic
def own(server: Server, new: Values, *, by: User | None, known: Smarthost | None = None) -> Smarthost:
    """The server's own row for these values: the current one when nothing differs, else a new row.

    known: where a password that was not typed may come from. Raises ValidationError by field.
    """
    if by is not None and not may(by, Permission.USE_SHARED):
        rules.only(validators.public_host, "host", new.tidy().host)
    new, confidential = rules.settle(new), False
    if known is not None and new.password is None and known.has_password:
        if known.server_id is None and values.of(known) == new:
            return known  # nothing of it was altered: one account, whose new password will reach this server too
        new = replace(new, password=kept_password(known, new))
        confidential = known.server_id is None or known.confidential
    rules.ready(new, has_password=new.password is not None)
    rules.carried(server, new)
    current = Gateway.objects.of(server).wanted
    if current is not None and current.server_id == server.pk and _same(current, new):
        return current
    smarthost = Smarthost(name=rules.title(new), server=server, confidential=confidential)
    _fill(smarthost, new)
    smarthost.full_clean()
    _save(smarthost)
    prune()
    return smarthost


def kept_password(known: Smarthost, new: Values) -> Secret:
    """`known`'s password, which it has, for values with which none was typed. Raises ValidationError by field."""
    if not values.keeps_password(known, new):
        raise ValidationError({"password": _moved(known)})
    password = _password(known)
    if password is None:
        raise ValidationError({"password": LOST})
    return password


def prune() -> None:
    """Forgets private rows no gateway refers to. Young ones stay: a preview may be waiting for its install button."""
    old = timezone.now() - CANDIDATE_LIFE
    Smarthost.objects.unused().filter(server__isnull=False, created_at__lt=old).delete()


def _save(smarthost: Smarthost, earlier: str = "") -> None:
    smarthost.save()
    for hear in _hearers:
        hear({smarthost.sending_domain, earlier} - {""})


def _fill(smarthost: Smarthost, new: Values, *, wipe: bool = False) -> None:
    for name in values.STORED:
        setattr(smarthost, name, getattr(new, name))
    if new.password is not None:
        smarthost.password = new.password
    elif wipe:
        smarthost.password = None


def _remember(old: Smarthost, new: Values, before: Values) -> None:
    """Keeps the sign-in that is being replaced, or forgets the one kept before where it is no longer for this server,
    port and encryption: it must never be sent elsewhere."""
    here = old.port == new.port and values.keeps_password(old, replace(new, username=old.username))
    ignored = {"note": "", "password": None, "iam_secret": False, "username": ""}
    same = replace(before, **ignored) == replace(new, **ignored)
    if new.password is not None and here and (replaced := _password(old)) is not None:
        old.previous_password, old.previous_username = replaced, old.username
        old.previous_password_revision, old.rotated_at = old.password_revision, timezone.now()
        old.previous_revision = old.revision if same else None
    elif new.password is not None or not here or new.username != old.username:
        forget(old)
    elif not same:
        old.previous_revision = None


def forget(smarthost: Smarthost) -> None:
    """Takes the previous sign-in out of the row, which is not saved yet."""
    smarthost.previous_password, smarthost.previous_username = None, ""
    smarthost.previous_revision = smarthost.previous_password_revision = smarthost.rotated_at = None


def _password(smarthost: Smarthost) -> Secret | None:
    """None also where the key to it is lost."""
    try:
        return smarthost.password
    except Unreadable:
        return None


def _same(current: Smarthost, new: Values) -> bool:
    if values.of(current) != replace(new, password=None, iam_secret=False):
        return False
    return _password(current) == new.password  # where the key is lost, what was typed now replaces it


def _moved(known: Smarthost) -> str:
    return (
        f"The stored password belongs to {known.username or 'no user'} at {known.host}:{known.port} and is not used "
        "for another server or user name, over weaker encryption, or on another port without a checked certificate. "
        "Type the password for the new values."
    )


def _detail(smarthost: Smarthost) -> dict:
    return {"host": smarthost.host, "port": smarthost.port, "username": smarthost.username, "preset": smarthost.preset}


def _changes(before: Values, after: Values) -> dict:
    changed = [name for name in values.STORED if getattr(before, name) != getattr(after, name)]
    return {"changed": {name: [getattr(before, name), getattr(after, name)] for name in changed}}


def _typed(new: Values) -> dict:
    typed: Secret | None = new.password
    return {"password_set": typed is not None}
