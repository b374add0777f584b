"""The kinds of value that hold several: ports, regions, DKIM keys. See `kinds`."""

import re
from typing import Any

from gateway.providers.kinds import LABEL, Kind, Unfit, is_host
from gateway.providers.preset import ENCRYPTION, Dkim, Preset
from gateway.providers.presets import IMPLICIT, STARTTLS_ONLY

_SELECTOR = re.compile(rf"{LABEL}(\.{LABEL})*", re.ASCII)
_TARGET = re.compile(r"[a-z0-9_.-]{3,253}", re.ASCII)
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_PORTS = "Type each port with its encryption: 587 starttls, 465 implicit."
_REGIONS = "One region a line, as in: eu-south-1 = Europe (Milan)."
_KEYS = "One key a line: its selector, then cname or txt, then where a CNAME points to if that is known."


class Ports(Kind):
    """[[port, mode], …], the preferred first. Typed: "587 starttls, 465 implicit"."""

    def read(self, typed: str) -> list:
        return [self._pair(part.lower().split()) for part in re.split(r"[,\n]", typed) if part.strip()]

    def spell(self, value: list) -> str:
        return ", ".join(f"{port} {mode}" for port, mode in value)

    def tell(self, value: list) -> str:
        return ", ".join(f"{port} ({ENCRYPTION[mode]})" for port, mode in value)

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
            fits = _REGION.fullmatch(slug) and len(slug) <= 40 and _is_told(told) and is_host(preset.host, told[1])
            if not fits:
                raise Unfit(f"{slug[:40]}: {_REGIONS}")

    def _told(self, line: str) -> tuple[str, list[str]]:
        slug, *rest = (part.strip() for part in line.split("="))
        if not 1 <= len(rest) <= 2:
            raise Unfit(_REGIONS)
        return slug.lower(), [rest[0], rest[-1].lower() if len(rest) == 2 else slug.lower()]


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


def _is_port(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    port, mode = pair
    return type(port) is int and 1 <= port <= 65535 and mode in tuple(ENCRYPTION)


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
