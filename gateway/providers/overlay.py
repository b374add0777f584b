"""An organisation's changes laid over a preset. Pure: `changes` is plain JSON, {field name: value}."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.providers.fields import FIELDS, Field
from gateway.providers.kinds import Unfit
from gateway.providers.preset import Preset

WHOLE = ""  # the key of a problem with the changes as such
# What an account's gateways are built from beside its own values.
TOLD_TO_POSTFIX = ("limits.connections", "limits.per_minute", "limits.per_hour", "limits.recipients", "limits.size")
NUMBERS = {*TOLD_TO_POSTFIX, "limits.per_day"}


class Refused(ValueError):
    """Changes that cannot be laid over this preset; `problems` is {field name: sentence}."""

    def __init__(self, problems: dict[str, str]):
        super().__init__(" ".join(problems.values()))
        self.problems = problems


@dataclass(frozen=True)
class Laid:
    """preset: with the changes that fit. changes: those. problems: {field name: why its change is left out}."""

    preset: Preset
    changes: dict[str, Any]
    problems: dict[str, str]


def offered(preset: Preset) -> tuple[Field, ...]:
    """What can be changed of this preset."""
    return tuple(field for field in FIELDS.values() if field.offered(preset))


def lay(built_in: Preset, changes: Any) -> Laid:
    """Never raises: whatever was stored, the rest of the preset stays usable. Limits in words that came with other
    numbers are left out."""
    if not isinstance(changes, Mapping):
        return Laid(built_in, {}, {WHOLE: "The stored changes cannot be read."})
    laid, used = built_in, {}
    problems = {name: "No such thing can be changed here." for name in changes if not _known(built_in, name)}
    for field in offered(built_in):
        if field.name not in changes:
            continue
        try:
            field.kind.check(laid, changes[field.name])
        except Unfit as error:
            problems[field.name] = str(error)
        else:
            laid, used[field.name] = field.lay(laid, changes[field.name]), changes[field.name]
    if NUMBERS & set(used) and "limits.note" not in used:
        laid = FIELDS["limits.note"].lay(laid, "")
    return Laid(replace(laid, changed=tuple(used)), used, problems)


def settled(built_in: Preset, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes worth keeping: all fit, none says what the built-in preset says. Raises Refused."""
    found = lay(built_in, {name: value for name, value in changes.items() if not _says(built_in, name, value)})
    if found.problems:
        raise Refused(found.problems)
    trimmed = {name: FIELDS[name].trimmed(built_in, value) for name, value in found.changes.items()}
    return {name: value for name, value in trimmed.items() if not _says(built_in, name, value)}


def read(built_in: Preset, typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as changes; nothing typed means the built-in value where a field cannot be empty. Raises
    Refused."""
    found, problems = {}, _strange(built_in, typed)
    for name, text in typed.items():
        if name in problems:
            continue
        field = FIELDS[name]
        try:
            found[name] = field.kind.read(text) if text.strip() or field.blank else field.of(built_in)
        except Unfit as error:
            problems[name] = str(error)
    if problems:
        raise Refused(problems)
    return found


def taken_back(built_in: Preset, names: Iterable[str]) -> dict[str, Any]:
    """The changes that give these fields their built-in values again. Raises Refused."""
    names = list(names)
    if problems := _strange(built_in, names):
        raise Refused(problems)
    return {name: FIELDS[name].of(built_in) for name in names}


def postfix_differs(before: Preset, after: Preset) -> bool:
    """Whether an account of any kind, on any number of servers, gets other limits in its main.cf."""
    return any(FIELDS[name].of(before) != FIELDS[name].of(after) for name in TOLD_TO_POSTFIX)


def _strange(preset: Preset, names: Iterable[str]) -> dict[str, str]:
    offers = ", ".join(field.name for field in offered(preset))
    return {name: f"{preset.label} has no such field. It has: {offers}." for name in names if not _known(preset, name)}


def _says(preset: Preset, name: str, value: Any) -> bool:
    return _known(preset, name) and FIELDS[name].of(preset) == value


def _known(preset: Preset, name: Any) -> bool:
    return name in FIELDS and FIELDS[name].offered(preset)
