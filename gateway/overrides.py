"""What this organisation knows better than the presets that came with the panel, laid over them.

Read anew each time, in one statement: a change holds at once in every process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from gateway.models import PresetOverride, Smarthost
from gateway.providers import overlay, presets
from gateway.providers.fields import FIELDS
from gateway.providers.preset import Preset

KIND = "SMTP provider preset"  # of the audit log's entries


@dataclass(frozen=True)
class Known:
    """preset: `built_in` with `changes` ({field name: value}) laid over it. problems: {field name: why what is stored
    for it is not used}. row: None where nothing is stored."""

    built_in: Preset
    preset: Preset
    changes: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    note: str = ""
    row: PresetOverride | None = None


def preset(slug: str) -> Preset:
    """As this organisation wants it. Raises KeyError."""
    return _known(presets.get(slug), PresetOverride.objects.filter(pk=slug).first()).preset


def all() -> tuple[Preset, ...]:  # noqa: A001 - read as `overrides.all()`
    """Every preset as this organisation wants it, in the order people see them."""
    return tuple(known.preset for known in listed())


def built_in(slug: str) -> Preset:
    """For what no change reaches: its label, how one signs in there. Asks no database. Raises KeyError."""
    return presets.get(slug)


def labels() -> list[tuple[str, str]]:
    """(slug, label) of each, in the order people see them. Asks no database."""
    return [(preset.slug, preset.label) for preset in presets.all()]


def known(slug: str) -> Known:
    """Raises KeyError."""
    row = PresetOverride.objects.select_related("changed_by").filter(pk=slug).first()
    return _known(presets.get(slug), row)


def listed() -> list[Known]:
    rows = PresetOverride.objects.in_bulk()
    return [_known(preset, rows.get(preset.slug)) for preset in presets.all()]


@transaction.atomic
def change(slug: str, changes: Mapping[str, Any], note: str | None = None, *, by: User | str | None) -> Known:
    """Lays `changes` over those there are; a value of the built-in preset takes the change of its field back.
    note None: as it was. Raises ValidationError by field, KeyError."""
    row, _ = PresetOverride.objects.select_for_update().get_or_create(pk=slug)
    before = _known(presets.get(slug), row)
    try:
        row.changes = overlay.settled(before.built_in, before.changes | dict(changes))
    except overlay.Refused as error:
        raise ValidationError(error.problems) from error
    row.note, row.changed_by = before.note if note is None else note.strip(), by if isinstance(by, User) else None
    row.clean_fields(exclude=["changes"])
    if row.changes.get("verified", "") > timezone.localdate().isoformat():
        raise ValidationError({"verified": "This day has not come yet."})
    return _settle(before, row, by, "changed")


@transaction.atomic
def reset(slug: str, *, by: User | str | None) -> Known:
    """Back to the built-in values. Raises KeyError."""
    row = PresetOverride.objects.select_for_update().filter(pk=slug).first()
    before = _known(presets.get(slug), row)
    if row is None:
        return before
    row.changes, row.note = {}, ""
    return _settle(before, row, by, "put back")


def _settle(before: Known, row: PresetOverride, by: User | str | None, verb: str) -> Known:
    """Stores the row, unless there is nothing in it, and says in the audit log what became another value."""
    stored = row if row.changes or row.note else None
    after = _known(before.built_in, stored)
    changed = {name: [_value(before, name), _value(after, name)] for name in FIELDS if _differ(before, after, name)}
    if before.note != after.note:
        changed["note"] = [before.note, after.note]
    if stored is None:
        row.delete()
    if changed or before.problems:
        if stored is not None:
            stored.save()
        outdated = _outdate(before.preset, after.preset)
        subject = (KIND, before.built_in.slug, before.built_in.label)
        audit.record(by, verb, subject, changed=changed, accounts_on_earlier_values=outdated)
    return after


def _differ(before: Known, after: Known, name: str) -> bool:
    return _value(before, name) != _value(after, name)


def _value(known: Known, name: str) -> Any:
    return known.changes.get(name, FIELDS[name].of(known.built_in))


def _outdate(before: Preset, after: Preset) -> int:
    """Counts as a change of the account's own values where Postfix would be told something else, and says of how many
    accounts: their gateways then run on earlier values, and nobody is said to have changed them by hand. A gateway of
    the revision before is no longer what the previous sign-in would make of it."""
    rows = Smarthost.objects.filter(preset=after.slug)
    if not overlay.postfix_differs(before, after):
        if before.from_policy == after.from_policy:
            return 0
        values = rows.values_list("pk", "username", "sending_domain")
        rows = rows.filter(pk__in=[pk for pk, *told in values if _rewritten(before, told) != _rewritten(after, told)])
    return rows.update(revision=F("revision") + 1, previous_revision=None)


def _rewritten(preset: Preset, told: list[str]) -> str:
    return presets.rewrite_rule(preset, *told)


def _known(preset: Preset, row: PresetOverride | None) -> Known:
    if row is None:
        return Known(preset, preset)
    laid = overlay.lay(preset, row.changes)
    return Known(preset, laid.preset, laid.changes, laid.problems, row.note, row)
