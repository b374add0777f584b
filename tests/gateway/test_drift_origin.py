"""Who made the difference: this version of the panel, the server's own names, or somebody's hand."""

from dataclasses import replace
from hashlib import sha256

import pytest

from gateway import drift
from gateway.postfix import files, maincf, manifest, paths
from gateway.postfix.plan import plan
from gateway.postfix.state import Facts
from tests.gateway.test_drift import INSTALLED, KEY, TABLES, WISH, found

OLD = TABLES.name[::-1]


def older() -> Facts:
    """Installed by a panel that wrote one of the tables differently."""
    text = INSTALLED.main_cf.replace(TABLES.name.encode(), OLD.encode())
    told = {name: value.replace(TABLES.name, OLD) for name, value in INSTALLED.manifest["settings"].items()}
    written = [sha256(text).hexdigest(), "absent"]
    record = {"generation": OLD, "settings": told, "tables": "5ea1", "format": "f0", "written": written}
    tables = replace(TABLES, name=OLD, digest="d1", seal="5ea1")
    return replace(INSTALLED, main_cf=text, manifest={**INSTALLED.manifest, **record}, maps=(tables,))


def test_tables_that_only_this_version_writes_differently_are_the_panels_own_doing():
    todo = plan(older(), WISH, KEY)
    assert "maps" in {step.slug for step in todo.steps}
    assert drift.panel_changed(older(), todo)


@pytest.mark.parametrize(
    "touched",
    [
        {"seal": sha256(b"other").hexdigest()},
        {"mode": "755"},
        {"files": {name: ("644", "root", size) for name, (_, _, size) in TABLES.files.items()}},
    ],
    ids=["contents", "directory", "files"],
)
def test_tables_somebody_touched_are_drift_whatever_the_version(touched):
    there = replace(older(), maps=(replace(older().maps[0], **touched),))
    assert not drift.panel_changed(there, plan(there, WISH, KEY))
    assert ("tables", "The tables with the sign-in were changed.") in found(there)


@pytest.mark.parametrize("unknown", [{"tables": "", "format": ""}, {"format": files.form()}])
def test_a_record_that_cannot_blame_the_version_acquits_nobody(unknown):
    there = replace(older(), manifest={**older().manifest, **unknown})
    assert not drift.panel_changed(there, plan(there, WISH, KEY))


def test_a_renamed_server_is_told_from_a_hand():
    renamed = replace(INSTALLED, fqdn="moved.fleet.test", hostname="moved")
    assert not drift.panel_changed(renamed, plan(renamed, WISH, KEY))
    assert any("this server's names or its Postfix changed" in text for _, text in found(renamed))


def test_the_form_of_the_tables_is_the_same_at_every_start_and_another_for_another_table(monkeypatch):
    first = files.form()
    files.form.cache_clear()
    assert files.form() == first == manifest.read(INSTALLED).format
    monkeypatch.setattr(files, "_SYSTEM_ACCOUNTS", ("root",))
    files.form.cache_clear()
    assert files.form() != first
    monkeypatch.undo()
    files.form.cache_clear()


@pytest.mark.parametrize(
    "foreign",
    [
        lambda text: text + "message_size_limit = 1\n# a word\n",
        lambda text: "# a word\n\n" + text,
        lambda text: "".join(reversed(text.splitlines(keepends=True))),
        lambda text: text.replace(f"{maincf.MARK}\n", ""),
        lambda text: text.replace("biff = no\n", "biff=no\n"),
    ],
    ids=["other settings", "comments", "order", "our own comment", "spaces"],
)
def test_what_is_not_ours_is_no_difference(foreign):
    text = foreign(INSTALLED.main_cf.decode())
    assert plan(replace(INSTALLED, main_cf=text.encode()), WISH, KEY).empty and text != INSTALLED.main_cf.decode()


def test_what_differs_is_told_with_both_values():
    there = replace(
        INSTALLED, main_cf=INSTALLED.main_cf.replace(b"biff = no\n", b"") + b"myorigin = a\n  b\nmine = 1\n"
    )
    assert drift.changes(there, plan(there, WISH, KEY)) == {"biff": [None, "no"], "myorigin": ["a b", "$myhostname"]}
    assert drift.changes(INSTALLED, plan(INSTALLED, WISH, KEY)) == {}


def test_what_was_adopted_and_is_not_in_the_record_yet_is_as_installed():
    there = replace(INSTALLED, main_cf=INSTALLED.main_cf.replace(b"biff = no\n", b"biff = yes\n"))
    keeping = replace(WISH, kept=(("biff", "yes"),))
    assert drift.unrecorded(there, plan(there, keeping, KEY))
    assert not drift.unrecorded(there, plan(there, WISH, KEY))
    for else_ in ({"running": False}, {"enabled": False}, {"maps": ()}, {"manifest": {}}, {"stale_chroot": True}):
        other = replace(there, **else_)
        assert not drift.unrecorded(other, plan(other, keeping, KEY)), else_
    assert paths.MAIN_CF not in plan(there, keeping, KEY).diffs
