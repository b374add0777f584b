"""docs/configuration.md names every environment variable of the settings, with the default they have."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS, PAGE = ROOT / "controlpanel" / "settings.py", ROOT / "docs" / "configuration.md"
ROW = re.compile(r"^\| `(FLEETPOST_\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


def asked() -> list[tuple[str, list[ast.expr]]]:
    """(variable, the other arguments) of each call in the settings that begins with the name of one."""
    calls = [node for node in ast.walk(ast.parse(SETTINGS.read_text("utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if call.args and isinstance(call.args[0], ast.Constant)]
    found = [(str(call.args[0].value), [*call.args[1:], *(word.value for word in call.keywords)]) for call in named]
    return [(name, others) for name, others in found if re.fullmatch(r"FLEETPOST_\w+", name)]


def defaults() -> dict[str, str]:
    """As the page spells them; without those that are worked out, and those whose absence is a choice."""
    found = {}
    for name, others in asked():
        if others and isinstance(others[0], ast.Constant | ast.List):
            value = ast.literal_eval(others[0])
            found[name] = ",".join(value) if isinstance(value, list) else str(value)
            found[name] = found[name].lower() if isinstance(value, bool) else found[name]
    return {name: value for name, value in found.items() if value and not name.endswith("_FILE")}


def told() -> list[tuple[str, str, str]]:
    """(variable, meaning, default) of each row of the page's table."""
    return ROW.findall(PAGE.read_text("utf-8"))


def test_the_page_names_each_variable_of_the_settings_once_and_no_other():
    assert sorted(name for name, *_ in told()) == sorted({name for name, _ in asked()})


def test_the_page_tells_the_defaults_of_the_settings():
    known = {name: default.strip("`") for name, _, default in told()}
    assert len(defaults()) > 10
    assert {name: known[name] for name in defaults()} == defaults()
