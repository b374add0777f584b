"""A cause by its slug: of the catalogue of replies, or one that only a diagnosis can tell (`data/verdicts.toml`)."""

import tomllib
from functools import cache
from pathlib import Path

from gateway.providers import replies
from gateway.providers.replies import Explanation

_DATA = Path(__file__).parent / "data" / "verdicts.toml"


def get(slug: str) -> Explanation | None:
    """What it means, in words that are true wherever it happens. None: nobody gives this cause."""
    return _all().get(slug)


@cache
def _all() -> dict[str, Explanation]:
    told = (Explanation(**raw) for raw in tomllib.loads(_DATA.read_text("utf-8"))["verdict"])
    known = (*replies.families().values(), *(rule.explanation for rule in replies.rules()), *told)
    return {explanation.slug: explanation for explanation in known}
