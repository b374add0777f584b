"""Inviting people, changing what they may do, and ending it. Every verb writes its audit entry."""

from allauth.mfa.models import Authenticator
from django.db import transaction

from controlpanel.access import audit, links
from controlpanel.access.models import Role, User


class LastAdministrator(Exception):
    """This is the only active administrator: without one nobody could manage people or settings."""

    hint = "Make somebody else an administrator first."


class AlreadyHere(Exception):
    """A person with this email address exists."""

    hint = "Open their page to change the role, or to make a new sign-in link."


def _lock_administrators() -> list[int]:
    """Two administrators demoting each other at once must not both succeed. Always the first rows a verb locks, in
    one order, so that none waits for another in a circle."""
    administrators = User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True)
    return list(administrators.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def invite(email: str, role: str, *, name: str = "", by: User | str) -> tuple[User, str]:
    """The new person and the token of their sign-in link, which is shown once. Raises AlreadyHere."""
    email = email.strip().lower()
    if User.objects.filter(email__iexact=email).exists():
        raise AlreadyHere
    person = User.objects.create_user(email, role=role, name=name)
    audit.record(by, "invited", person, email=email, role=role)
    return person, links.make(person)


@transaction.atomic
def change(person: User, *, name: str, role: str, by: User) -> None:
    """Name and role. Raises LastAdministrator."""
    administrators = _lock_administrators()
    before = User.objects.select_for_update().get(pk=person.pk)
    if role != Role.ADMINISTRATOR and administrators == [before.pk]:
        raise LastAdministrator
    fields = {"name": name, "role": role}
    changed = {key: [getattr(before, key), value] for key, value in fields.items() if getattr(before, key) != value}
    if changed:
        User.objects.filter(pk=person.pk).update(**fields)
        audit.record(by, "changed", before, changed=changed)
    person.name, person.role = name, role


@transaction.atomic
def deactivate(person: User, *, by: User) -> None:
    """Ends their sessions, links and sign-in; what they did stays on record. Raises LastAdministrator."""
    if _lock_administrators() == [person.pk]:
        raise LastAdministrator
    links.withdraw(person)
    User.objects.filter(pk=person.pk).update(is_active=False)
    person.is_active = False
    audit.record(by, "deactivated", person)


@transaction.atomic
def reactivate(person: User, *, by: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=True)
    person.is_active = True
    audit.record(by, "reactivated", person)


@transaction.atomic
def new_link(person: User, *, by: User | str) -> str:
    """The token of a link for somebody who lost the password. Earlier links end now, the password when it is used."""
    links.withdraw(person)
    audit.record(by, "made a sign-in link for", person)
    return links.make(person)


@transaction.atomic
def remove_second_factors(person: User, *, by: User) -> int:
    """For somebody who lost the telephone or key. Returns how many were removed."""
    removed, _ = Authenticator.objects.filter(user=person).delete()
    audit.record(by, "removed the second factors of", person, count=removed)
    return removed


@transaction.atomic
def choose_password(person: User, password: str, *, email: str, name: str) -> None:
    """The end of a sign-in link's way. Raises AlreadyHere when the address belongs to somebody else."""
    if User.objects.filter(email__iexact=email).exclude(pk=person.pk).exists():
        raise AlreadyHere
    person.email, person.name = email.strip().lower(), name
    person.set_password(password)
    person.save(update_fields=["email", "name", "password"])
    audit.record(person, "chose a password", person)
