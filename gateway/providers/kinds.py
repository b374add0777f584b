"""The kinds of value an organisation may put into a preset: how each is typed, stored and checked.

Every kind has `read` (typed text to JSON, raises Unfit), `spell` (JSON to the text that is typed), `tell` (JSON to
words for a page, "" for nothing), `check` (JSON of any origin against a preset, raises Unfit), `plain` (from a preset
to JSON) and `rich` (checked JSON to what a preset holds).
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.providers.preset import Dkim, Preset
from gateway.providers.presets import IMPLICIT, STARTTLS_ONLY

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+[a-z]({_LABEL})?", re.ASCII)
_SELECTOR = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_TARGET = re.compile(r"[a-z0-9_.-]{3,253}", re.ASCII)
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_NUMBER = re.compile(r"([0-9][0-9 ,]{0,15})(mb?)?", re.ASCII | re.IGNORECASE)
_MEGA = 1_000_000
_SAID = {"starttls": "STARTTLS", "implicit": "TLS", "none": "no encryption"}


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
        if not isinstance(value, str) or not all(_is_host(value, part) for part in parts or [None]):
            where = " {region} stands for the region." if parts else ""
            raise Unfit(f"A server is a full host name such as smtp.example.com.{where}")
        if preset.host_like and not preset.host_like.search(value):
            raise Unfit(preset.host_hint)


class Ports(Kind):
    """[[port, mode], …], the preferred first. Typed: "587 starttls, 465 implicit"."""

    def read(self, typed: str) -> list:
        return [self._pair(part.lower().split()) for part in re.split(r"[,\n]", typed) if part.strip()]

    def spell(self, value: list) -> str:
        return ", ".join(f"{port} {mode}" for port, mode in value)

    def tell(self, value: list) -> str:
        return ", ".join(f"{port} ({_SAID[mode]})" for port, mode in value)

    def check(self, preset: Preset, value: Any) -> None:
        if not isinstance(value, list) or not 1 <= len(value) <= 12 or not all(_is_port(pair) for pair in value):
            raise Unfit(_PORTS)
        if len({port for port, _ in value}) < len(value):
            raise Unfit("Name each port once.")
        for port, mode in value:
            if port in preset.wrong_ports:
                raise Unfit(preset.wrong_ports[port])
            if (mode == "none") == preset.tls_possible:
                raise Unfit(
                    f"Port {port}: choose starttls or implicit."
                    if preset.tls_possible
                    else f"{preset.label} offers no encryption: {port} none."
                )
            if (port in IMPLICIT and mode == "starttls") or (port in STARTTLS_ONLY and mode == "implicit"):
                raise Unfit(f"Port {port} is {'implicit' if port in IMPLICIT else 'starttls'} at every provider.")

    def plain(self, found: tuple) -> list:
        return [list(pair) for pair in found]

    def rich(self, value: list) -> tuple:
        return tuple((port, mode) for port, mode in value)

    def _pair(self, words: list[str]) -> list:
        if len(words) > 2 or not words[0].isdecimal() or len(words[0]) > 5:
            raise Unfit(_PORTS)
        port = int(words[0])
        return [port, words[1] if len(words) == 2 else "implicit" if port in IMPLICIT else "starttls"]


class Regions(Kind):
    """{slug: [label, its part of the host name]}. Typed: a line "slug = label", or "slug = label = part"."""

    def read(self, typed: str) -> dict:
        return dict(self._told(line) for line in typed.splitlines() if line.strip())

    def spell(self, value: dict) -> str:
        told = ((slug, label, part) for slug, (label, part) in value.items())
        return "\n".join(
            " = ".join((slug, label) if part == slug else (slug, label, part)) for slug, label, part in told
        )

    def check(self, preset: Preset, value: Any) -> None:
        if not isinstance(value, dict) or len(value) > 50:
            raise Unfit(_REGIONS)
        for slug, told in value.items():
            fits = _REGION.fullmatch(slug) and len(slug) <= 40 and _is_told(told) and _is_host(preset.host, told[1])
            if not fits:
                raise Unfit(f"{slug[:40]}: {_REGIONS}")

    def _told(self, line: str) -> tuple[str, list[str]]:
        slug, *rest = (part.strip() for part in line.split("="))
        if not 1 <= len(rest) <= 2:
            raise Unfit(_REGIONS)
        return slug.lower(), [rest[0], rest[-1].lower() if len(rest) == 2 else slug.lower()]


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


class Keys(Kind):
    """[[selector, "cname" | "txt", target], …]. Typed: a line "selector cname target" or "selector txt"."""

    def read(self, typed: str) -> list:
        lines = [line.lower().split() for line in typed.splitlines() if line.strip()]
        if any(not 2 <= len(words) <= 3 for words in lines):
            raise Unfit(_KEYS)
        return [[words[0], words[1], words[2].removesuffix(".") if len(words) > 2 else ""] for words in lines]

    def spell(self, value: list) -> str:
        return "\n".join(" ".join(filter(None, key)) for key in value)

    def check(self, preset: Preset, value: Any) -> None:
        if not isinstance(value, list) or len(value) > 12 or not all(_is_key(key) for key in value):
            raise Unfit(_KEYS)

    def plain(self, found: tuple) -> list:
        return [[key.selector, key.kind, key.target] for key in found]

    def rich(self, value: list) -> tuple:
        return tuple(Dkim(*key) for key in value)


_PORTS = "Type each port with its encryption: 587 starttls, 465 implicit."
_REGIONS = "One region a line, as in: eu-south-1 = Europe (Milan)."
_KEYS = "One key a line: its selector, then cname or txt, then where a CNAME points to if that is known."


def _digits(typed: str) -> int:
    return int(re.sub(r"\D", "", typed))


def _is_host(host: str, part: str | None) -> bool:
    return bool(_NAME.fullmatch(host if part is None else host.replace("{region}", part)))


def _is_port(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    port, mode = pair
    return type(port) is int and 1 <= port <= 65535 and mode in tuple(_SAID)


def _is_told(told: Any) -> bool:
    if not isinstance(told, list) or len(told) != 2 or not all(isinstance(word, str) for word in told):
        return False
    return all(0 < len(word) <= 80 and word.isprintable() and "=" not in word for word in told)


def _is_key(key: Any) -> bool:
    if not isinstance(key, list) or len(key) != 3 or not all(isinstance(word, str) for word in key):
        return False
    selector, kind, target = key
    # any other brace would break whoever fills the two in
    filled = target.replace("{domain}", "example.com").replace("{region}", "eu")
    fits = _SELECTOR.fullmatch(selector) and kind in ("cname", "txt")
    return bool(fits and (not target or (kind == "cname" and _TARGET.fullmatch(filled))))
