"""DKIM selectors that every account has of its own: what they look like, where to read them (data/selectors.toml)."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "data" / "selectors.toml"


@dataclass(frozen=True)
class Own:
    """page, where: where the provider shows them. example: what they look like, in words. like: their shape, when no
    other provider's have it. guesses: names worth a question. leads_to: ends of their CNAMEs' targets. target: where
    such a CNAME points; may hold `{selector}`. signs: False where nobody on the way signs; nothing else is set then."""

    page: str = ""
    where: str = ""
    example: str = ""
    signs: bool = True
    like: str = ""
    guesses: tuple[str, ...] = ()
    leads_to: tuple[str, ...] = ()
    target: str = ""

    def shaped(self, selector: str) -> bool:
        return bool(self.like) and re.fullmatch(self.like, selector) is not None

    def led(self, alias: str) -> bool:
        return any(alias.lower() == end or alias.lower().endswith(f".{end}") for end in self.leads_to)


@cache
def _all() -> dict[str, Own]:
    read = tomllib.loads(_DATA.read_text("utf-8"))
    rows = {slug: raw for slug, raw in read.items() if isinstance(raw, dict)}
    lists = ("guesses", "leads_to")
    return {slug: Own(**raw | {name: tuple(raw.get(name, ())) for name in lists}) for slug, raw in rows.items()}


def of(slug: str) -> Own | None:
    """None for presets whose selectors are the same for everybody, and for those nothing is known about."""
    return _all().get(slug)
