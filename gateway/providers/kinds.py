"""The kinds of value an organisation may put into a preset: how each is typed, stored and checked.

Every kind has `read` (typed text to JSON, raises Unfit), `spell` (JSON to the text that is typed), `tell` (JSON to
words for a page, "" for nothing), `check` (JSON of any origin against a preset, raises Unfit), `plain` (from a preset
to JSON) and `rich` (checked JSON to what a preset holds).
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.providers.preset import Preset

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)({LABEL}\.)+[a-z]({LABEL})?", re.ASCII)
_NUMBER = re.compile(r"([0-9][0-9 ,]{0,15})(mb?)?", re.ASCII | re.IGNORECASE)
_MEGA = 1_000_000


class Unfit(ValueError):
    """This value cannot stand in this field. The message tells the person who typed it why."""


class Kind:
    def read(self, typed: str) -> Any:
        return typed.strip()

    def spell(self, value: Any) -> str:
        return value

    def tell(self, value: Any) -> str:
        return self.spell(value)

    def check(self, preset: Preset, value: Any) -> None:
        raise NotImplementedError

    def plain(self, found: Any) -> Any:
        return found

    def rich(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Text(Kind):
    longest: int

    def read(self, typed: str) -> str:
        return " ".join(typed.split())

    def check(self, preset: Preset, value: Any) -> None:
        if not isinstance(value, str) or not value.isprintable():
            raise Unfit("Type one line of plain text.")
        if len(value) > self.longest:
            raise Unfit(f"At most {self.longest} characters fit here.")


@dataclass(frozen=True)
class Number(Kind):
    """None: no limit is known."""

    most: int

    def read(self, typed: str) -> int | None:
        if not typed.strip():
            return None
        found = _NUMBER.fullmatch(typed.strip())
        if not found or found[2]:
            raise Unfit("Type a whole number.")
        return _digits(found[1])

    def spell(self, value: int | None) -> str:
        return "" if value is None else str(value)

    def tell(self, value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    def check(self, preset: Preset, value: Any) -> None:
        if value is not None and (type(value) is not int or not 1 <= value <= self.most):
            raise Unfit(f"A number from 1 to {self.most:,}, or nothing where no limit is known.")


class Size(Kind):
    """Bytes; may be typed in MB (1,000,000 bytes)."""

    def read(self, typed: str) -> int | None:
        if not typed.strip():
            return None
        found = _NUMBER.fullmatch(typed.strip())
        if not found:
            raise Unfit("Type a size such as 26 MB, or a number of bytes.")
        return _digits(found[1]) * (_MEGA if found[2] else 1)

    def spell(self, value: int | None) -> str:
        if value is None:
            return ""
        return str(value) if value % _MEGA else f"{value // _MEGA} MB"

    def check(self, preset: Preset, value: Any) -> None:
        if value is not None and (type(value) is not int or not 100_000 <= value <= 2000 * _MEGA):
            raise Unfit("A size from 0.1 to 2,000 MB, or nothing where no limit is known.")


@dataclass(frozen=True)
class Choice(Kind):
    """words: value -> what a person reads."""

    words: dict[str, str]

    def tell(self, value: str) -> str:
        return self.words[value]

    def check(self, preset: Preset, value: Any) -> None:
        if not isinstance(value, str) or value not in self.words:
            raise Unfit(f"One of: {', '.join(self.words)}.")


class Host(Kind):
    def read(self, typed: str) -> str:
        return typed.strip().removesuffix(".").lower()

    def check(self, preset: Preset, value: Any) -> None:
        parts = [preset.in_host.get(region, region) for region in preset.regions]
        if not isinstance(value, str) or not all(is_host(value, part) for part in parts or [None]):
            where = " {region} stands for the region." if parts else ""
            raise Unfit(f"A server is a full host name such as smtp.example.com.{where}")
        if preset.host_like and not preset.host_like.search(value):
            raise Unfit(preset.host_hint)


class OfRegions(Kind):
    def check(self, preset: Preset, value: Any) -> None:
        if not isinstance(value, str) or value not in preset.regions:
            raise Unfit(f"{preset.label} has no region of this name here.")


class Day(Kind):
    def check(self, preset: Preset, value: Any) -> None:
        try:
            plain = date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            plain = None
        if plain is None or value != plain:
            raise Unfit("A day is typed as 2026-11-30.")

    def plain(self, found: date) -> str:
        return found.isoformat()

    def rich(self, value: str) -> date:
        return date.fromisoformat(value)


class Domain(Kind):
    def read(self, typed: str) -> str:
        return typed.strip().removeprefix("include:").removesuffix(".").lower()

    def check(self, preset: Preset, value: Any) -> None:
        if not isinstance(value, str) or (value and not _NAME.fullmatch(value.replace("_", ""))):
            raise Unfit("A domain such as spf.example.com, or nothing.")


def _digits(typed: str) -> int:
    return int(re.sub(r"\D", "", typed))


def is_host(host: str, part: str | None) -> bool:
    """Whether `host` is a full host name with `part` in the place of `{region}`; None: it has no such place."""
    return bool(_NAME.fullmatch(host if part is None else host.replace("{region}", part)))
