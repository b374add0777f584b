"""Strings nobody here thought of."""

import json
from pathlib import Path

import pytest

_BLNS = Path(__file__).resolve().parents[3] / "shared" / "data" / "blns.json"
HOSTILE = (
    *("web\n", "web\r\nHost: evil", "web\0", "\nweb", "-oProxyCommand=id", "--help", "$(id)", "`id`", "a;id", "a|id"),
    *(
        "../../etc/passwd",
        "%h",
        "a b",
        "\u202eweb",
        "web\u2028x",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "'--",
        "\x1b[2J",
    ),
    *("\ud800", "web\u0000", "ｗｅｂ", "wéb", "\u200bweb", "\ufeffweb"),
)


def strings() -> list[str]:
    """The Big List of Naughty Strings, or a skip with its reason, and our own."""
    if not _BLNS.exists():
        pytest.skip("the Big List of Naughty Strings (../shared/data/blns.json) is not on this machine")
    return [*json.loads(_BLNS.read_text()), *HOSTILE]
