"""Who did what to what, written in the transaction of the change."""

import re
from collections.abc import Iterable
from typing import Any

from django.db import connection, models

from controlpanel.access.models import AuditEntry, User
from servers.remote.secret import Secret

PANEL = "Fleetpost"
# C0, C1 and the marks that turn the direction of text: a name must not rewrite the line it stands in.
_UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class NotInTransaction(RuntimeError):
    """An audit entry is written inside the transaction of its change, so that neither exists without the other."""

    hint = "Call audit.record inside transaction.atomic()."


def record(by: User | str | None, verb: str, subject: models.Model | tuple[str, Any, str], **detail) -> AuditEntry:
    """by: the person, or a few words for who else ("command line"); None is the panel itself.
    verb: past tense, "changed role". subject: a row, or (kind, id, name). detail: JSON values, never a secret.

    Raises NotInTransaction, and TypeError for a Secret or bytes anywhere in `detail`.
    """
    _in_transaction()
    entry = AuditEntry(**_said(by, verb, detail), **_about(subject))
    entry.save(force_insert=True)
    return entry


def record_many(
    by: User | str | None, verb: str, subjects: Iterable[models.Model | tuple[str, Any, str]], **detail
) -> None:
    """One entry a subject, as by `record`, in a few statements for thousands."""
    _in_transaction()
    said = _said(by, verb, detail)
    AuditEntry.objects.bulk_create(AuditEntry(**said, **_about(subject)) for subject in subjects)


def record_each(by: User | str | None, verb: str, told: Iterable[tuple[models.Model, dict]]) -> None:
    """As `record_many`, for (subject, detail) that differ."""
    _in_transaction()
    AuditEntry.objects.bulk_create(AuditEntry(**_said(by, verb, detail), **_about(row)) for row, detail in told)


def _in_transaction() -> None:
    blocks = connection.atomic_blocks
    if not blocks or blocks[-1]._from_testcase:
        raise NotInTransaction


def _said(by: User | str | None, verb: str, detail: dict) -> dict:
    return {
        "actor": by if isinstance(by, User) else None,
        "actor_name": _printable(str(by or PANEL))[:200],
        "verb": verb,
        "detail": _plain(detail),
    }


def _about(subject: models.Model | tuple[str, Any, str]) -> dict:
    kind, ident, name = subject if isinstance(subject, tuple) else _subject(subject)
    return {"subject_kind": kind, "subject_id": str(ident or ""), "subject_name": _printable(str(name))[:255]}


def _subject(row: models.Model) -> tuple[str, Any, str]:
    return str(row._meta.verbose_name), row.pk, str(row)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value):
    if isinstance(value, (Secret, bytes, bytearray, memoryview)):
        raise TypeError("a secret never enters the audit log")
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    return _printable(value) if isinstance(value, str) else value
