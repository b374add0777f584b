"""Values of main.cf that a person adopted: the plan leaves them, the record knows them, an uninstall undoes them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.postfix import maincf, manifest, paths
from gateway.postfix.plan import plan
from gateway.postfix.spec import Wanted
from gateway.postfix.state import Facts
from tests.gateway.postfix.test_golden import KEY, after, facts, wanted

CASE = json.loads((Path(__file__).parent / "golden/plans/kept-postfix.json").read_text())
WISH = wanted(CASE["wanted"])
CLEAN = replace(facts(CASE["facts"]), main_cf=b"smtp_tls_loglevel = 0\n# a word\nrelayhost = [old.relay.test]:25\n")
INSTALLED = replace(after(CLEAN, plan(CLEAN, WISH, KEY)), before_cf=CLEAN.main_cf, record=("main.cf",))
LEVEL, OPTIONS = "smtp_tls_loglevel", "smtp_sasl_tls_security_options"


def edited(old: str, new: str) -> Facts:
    assert old.encode() in INSTALLED.main_cf
    return replace(INSTALLED, main_cf=INSTALLED.main_cf.replace(old.encode(), new.encode()))


def carried_out(there: Facts, todo) -> Facts:
    """As a faithful run leaves it, where no tables are to be written."""
    step = next(step for step in todo.steps if step.slug == "configure")
    refreshed = next((step.files[0].content for step in todo.steps if step.slug == "keep"), there.before_cf)
    config, record = (file.content for file in step.files)
    return replace(there, main_cf=config, manifest=json.loads(record), before_cf=refreshed)


BY_HAND = {
    "another value": (edited(f"{LEVEL} = 1\n", f"{LEVEL} = 2\n"), "2"),
    "over two lines": (edited(f"{LEVEL} = 1\n", f"{LEVEL} =\n  # why\n  2\n"), "2"),
    "once more at the end": (replace(INSTALLED, main_cf=INSTALLED.main_cf + f"{LEVEL} = 3\n".encode()), "3"),
    "empty": (edited(f"{LEVEL} = 1\n", f"{LEVEL} =\n"), ""),
    "taken out": (edited(f"{LEVEL} = 1\n", ""), None),
}


@pytest.mark.parametrize(("there", "value"), BY_HAND.values(), ids=BY_HAND)
def test_what_is_adopted_is_no_difference_and_the_next_change_records_it(there, value):
    assert plan(there, WISH, KEY).diffs
    keeping = replace(WISH, kept=((LEVEL, value),))
    todo = plan(there, keeping, KEY)
    assert todo.diffs == {} and "maps" not in {step.slug for step in todo.steps}
    recorded = carried_out(there, todo)
    assert recorded.main_cf == there.main_cf
    assert plan(recorded, keeping, KEY).empty
    record = manifest.read(recorded)
    assert dict(record.kept) == {LEVEL: value} and LEVEL not in record.settings
    assert record.previous[LEVEL] == ["smtp_tls_loglevel = 0\n"]


@pytest.mark.parametrize(("there", "value"), BY_HAND.values(), ids=BY_HAND)
@pytest.mark.parametrize("recorded", [False, True], ids=["not recorded yet", "recorded"])
def test_an_uninstall_puts_back_what_was_there_before_us(there, value, recorded):
    keeping = replace(WISH, kept=((LEVEL, value),))
    if recorded:
        there = carried_out(there, plan(there, keeping, KEY))
    undone = plan(there, Wanted(None, kept=keeping.kept), KEY)
    step = next(step for step in undone.steps if step.slug == "configure")
    left = step.files[0].content if step.files else there.before_cf
    if value is None:  # nobody knows any more where it stood
        assert maincf.values(left.decode()) == CLEAN.settings
    else:
        assert left.replace(b"  # why\n", b"") == CLEAN.main_cf


def test_after_stop_keeping_ours_comes_back_and_the_origin_stays_known():
    there, value = BY_HAND["another value"]
    keeping = replace(WISH, kept=((LEVEL, value),))
    recorded = carried_out(there, plan(there, keeping, KEY))
    ours = carried_out(recorded, plan(recorded, WISH, KEY))
    assert ours.main_cf == INSTALLED.main_cf and plan(ours, WISH, KEY).empty
    assert manifest.read(ours).previous[LEVEL] == ["smtp_tls_loglevel = 0\n"]


def test_a_kept_value_that_is_changed_again_differs_again():
    keeping = replace(WISH, kept=((LEVEL, "2"),))
    changed = plan(edited(f"{LEVEL} = 1\n", f"{LEVEL} = 4\n"), keeping, KEY)
    assert f"-{LEVEL} = 4\n+{LEVEL} = 2\n" in changed.diffs[paths.MAIN_CF]
    away = plan(INSTALLED, replace(WISH, kept=((LEVEL, None),)), KEY)
    assert f"-{LEVEL} = 1\n" in away.diffs[paths.MAIN_CF] and f"+{LEVEL}" not in away.diffs[paths.MAIN_CF]


def test_a_fresh_install_writes_the_kept_value_and_a_name_that_is_not_ours_means_nothing():
    case = json.loads((Path(__file__).parent / "golden/plans/clean-debian12.json").read_text())
    before, wish = facts(case["facts"]), wanted(case["wanted"])
    kept = (("biff", "yes"), ("notify_classes", None), ("message_size_limit", "5"))
    done = after(before, plan(before, replace(wish, kept=kept), KEY))
    assert done.settings["biff"] == "yes"
    assert "notify_classes" not in done.settings and "message_size_limit" not in done.settings
    assert plan(done, replace(wish, kept=kept), KEY).empty


def test_an_address_family_that_is_kept_away_needs_a_restart():
    case = json.loads((Path(__file__).parent / "golden/plans/clean-debian12.json").read_text())
    before, wish = facts(case["facts"]), wanted(case["wanted"])
    done = after(before, plan(before, wish, KEY))
    assert plan(done, replace(wish, kept=(("inet_interfaces", None),)), KEY).restarts


def test_a_record_of_an_earlier_panel_is_no_difference():
    earlier = {name: value for name, value in INSTALLED.manifest.items() if name not in ("kept", "tables", "format")}
    assert plan(replace(INSTALLED, manifest=earlier), WISH, KEY).empty
