"""What a reply, a log reason or a connection error means, and where in the panel it is mended.

The catalogue is data (`data/replies/*.toml`). Order: rules for the given preset, rules whose text names one provider
unmistakably, generic rules, then the closest family by enhanced status (RFC 3463) or basic code (RFC 5321).
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.providers import replytext

_DATA = Path(__file__).parent / "data" / "replies"
AREAS = ("credentials", "sender", "port", "dns", "server", "provider", "recipient", "none")


@dataclass(frozen=True)
class Explanation:
    """slug: stable, for grouping. cause, fix: one plain sentence each. area: one of AREAS.

    exact: False when only the family of the text is known.
    """

    slug: str
    cause: str
    fix: str
    area: str
    exact: bool = True


@dataclass(frozen=True)
class Rule:
    """presets: the providers whose words these are; none means anybody's. needs_preset: too vague without the preset.
    raw: matched against the text with its addresses left in. local: about the server's own network, so never meant by a
    reply, which speaks of the other side's. rows: rows of the catalogue this rule answers."""

    explanation: Explanation
    match: re.Pattern
    presets: tuple[str, ...] = ()
    needs_preset: bool = False
    raw: bool = False
    local: bool = False
    rows: tuple[int, ...] = ()


def explain(text: str | bytes, preset: str = "") -> Explanation:
    """The meaning of one reply, log line or error message. Never raises; unknown text gets its closest family."""
    raw = replytext.tidy(text)
    plain = replytext.without_names(raw)
    replied = replytext.is_reply(raw)
    for rule in _in_order(preset):
        if not (rule.local and replied) and rule.match.search(raw if rule.raw else plain):
            return rule.explanation
    return _family(plain)


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, most specific first within each file."""
    files = (tomllib.loads(path.read_text("utf-8")) for path in sorted(_DATA.glob("[0-9]*.toml")))
    return tuple(_rule(raw, file.get("local", False)) for file in files for raw in file["rule"])


@cache
def families() -> dict[str, Explanation]:
    """Status or code prefix ("5.7.8", "5.1", "535", "4"), or both where one alone would mislead ("421 4.2") -> the
    explanation of the whole family."""
    raw = tomllib.loads((_DATA / "families.toml").read_text("utf-8"))
    return {key: _explanation(one, exact=False) for one in raw["family"] for key in one.pop("codes")}


@cache
def _in_order(preset: str) -> tuple[Rule, ...]:
    own = [rule for rule in rules() if preset and preset in rule.presets]
    named = [rule for rule in rules() if rule.presets and not rule.needs_preset]
    generic = [rule for rule in rules() if not rule.presets]
    return tuple(own + named + generic)


def _family(text: str) -> Explanation:
    known = families()
    status, code = replytext.codes(text)
    subject = status.rpartition(".")[0]
    # 5.7.8 -> 5.7.8, 5.7; a whole class ("5") says less than the basic code (535), so it comes last.
    keys = (f"{code} {subject}", status, subject, code, status[:1] or code[:1])
    return next((known[key] for key in keys if key and key in known), known[""])


def _rule(raw: dict, local: bool) -> Rule:
    words = raw["match"]
    return Rule(
        explanation=_explanation(raw, exact=True),
        match=re.compile(words if isinstance(words, str) else "|".join(words), re.IGNORECASE),
        presets=tuple(raw.get("presets", ())),
        needs_preset=raw.get("needs_preset", False),
        raw=raw.get("raw", False),
        local=local,
        rows=tuple(raw.get("rows", ())),
    )


def _explanation(raw: dict, exact: bool) -> Explanation:
    if raw["area"] not in AREAS:
        raise ValueError(f"{raw['slug']}: unknown area {raw['area']}")
    return Explanation(raw["slug"], raw["cause"], raw["fix"], raw["area"], exact)
