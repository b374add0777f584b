"""An organisation's changes over a preset: what fits, what is kept, and that nothing stored can break a preset."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from gateway.providers import overlay, presets
from gateway.providers.fields import FIELDS
from gateway.providers.preset import Dkim, Limits

CASES = json.loads((Path(__file__).parent / "golden" / "overlay.json").read_text())
EVERY = [pytest.param(preset, id=preset.slug) for preset in presets.all()]
M365, SES, ZOHO = presets.get("m365"), presets.get("ses"), presets.get("zoho")


def typed(slug: str, **fields: str) -> dict:
    return overlay.read(presets.get(slug), {name.replace("__", "."): text for name, text in fields.items()})


@pytest.mark.parametrize("case", CASES["typed"], ids=lambda case: f"{case['preset']}-{case['field']}-{case['text']}")
def test_what_is_typed_becomes_a_value_and_is_spelt_the_same_again(case):
    built_in = presets.get(case["preset"])
    found = overlay.read(built_in, {case["field"]: case["text"]})
    assert found == {case["field"]: case["value"]}
    assert overlay.settled(built_in, found) == found
    assert overlay.read(built_in, {case["field"]: FIELDS[case["field"]].kind.spell(case["value"])}) == found


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: f"{case['preset']}-{case['field']}-{case['text']}")
def test_what_cannot_work_is_refused_with_the_reason(case):
    built_in = presets.get(case["preset"])
    with pytest.raises(overlay.Refused) as refused:
        overlay.settled(built_in, overlay.read(built_in, {case["field"]: case["text"]}))
    assert case["says"] in refused.value.problems[case["field"]]


@pytest.mark.parametrize("case", CASES["stored"], ids=lambda case: json.dumps(case["changes"])[:60])
def test_nothing_that_was_stored_breaks_a_preset(case):
    built_in = presets.get(case["preset"])
    found = overlay.lay(built_in, case["changes"])
    assert set(found.problems) == set(case["left_out"])
    assert set(found.changes) == set(case["used"])
    for name in case["left_out"]:
        if name in FIELDS:
            assert FIELDS[name].of(found.preset) == FIELDS[name].of(built_in)
    hash(found.preset)
    found.preset.hosts()


@pytest.mark.parametrize("preset", EVERY)
def test_every_field_of_every_preset_spells_to_itself(preset):
    """So a form that nobody changed changes nothing."""
    shown = {field.name: field.kind.spell(field.of(preset)) for field in overlay.offered(preset)}
    assert overlay.settled(preset, overlay.read(preset, shown)) == {}
    assert overlay.settled(preset, {field.name: field.of(preset) for field in overlay.offered(preset)}) == {}


def test_changes_are_laid_and_the_rest_stays():
    changes = typed(
        "m365", limits__per_minute="20", caveat="Ask IT first.", dns__dkim="s1 cname s1.{domain}.example.net"
    )
    laid = overlay.lay(M365, changes).preset
    assert laid.limits == replace(M365.limits, per_minute=20, note="")
    assert (laid.caveat, laid.dns.spf_include) == ("Ask IT first.", M365.dns.spf_include)
    assert laid.dns.dkim == (Dkim("s1", "cname", "s1.{domain}.example.net"),)
    assert laid.changed == ("limits.per_minute", "caveat", "dns.dkim")
    assert replace(laid, limits=M365.limits, caveat=M365.caveat, dns=M365.dns, changed=()) == M365


def test_words_about_the_built_in_limits_do_not_stand_beside_other_numbers():
    assert overlay.lay(M365, {"limits.per_day": 500}).preset.limits.note == ""
    ours = {"limits.per_day": 500, "limits.note": "500 a day, IT says."}
    assert overlay.lay(M365, ours).preset.limits.note == "500 a day, IT says."
    assert overlay.lay(M365, {"caveat": "Ask IT first."}).preset.limits.note == M365.limits.note


def test_a_region_is_added_and_can_be_chosen_beforehand():
    changes = typed("ses", regions="eu-south-1 = Europe (Milan)", default_region="eu-south-1")
    laid = overlay.lay(SES, changes).preset
    assert laid.host_in() == "email-smtp.eu-south-1.amazonaws.com"
    assert list(laid.regions) == [*SES.regions, "eu-south-1"]


def test_a_region_may_be_spelt_another_way_in_the_host():
    laid = overlay.lay(ZOHO, typed("zoho", regions="ca = Canada = ca.example")).preset
    assert laid.host_in("ca") == "smtp.zoho.ca.example"
    assert laid.host_in("au") == ZOHO.host_in("au")


def test_values_of_the_built_in_preset_are_not_kept():
    same = {"host": "smtp.office365.com", "limits.per_minute": 30, "ports": [[587, "starttls"], [25, "starttls"]]}
    assert overlay.settled(M365, same | {"limits.per_day": 500}) == {"limits.per_day": 500}
    assert overlay.settled(SES, {"regions": {"eu-west-1": ["Europe (Ireland)", "eu-west-1"]}}) == {}


def test_no_limit_known_is_a_change_of_its_own():
    changes = overlay.settled(M365, typed("m365", limits__per_day=""))
    assert changes == {"limits.per_day": None}
    assert overlay.lay(M365, changes).preset.limits.per_day is None


def test_nothing_typed_is_the_built_in_value_where_a_field_cannot_be_empty():
    assert overlay.settled(M365, typed("m365", host="", caveat=" ", ports="", source="", verified="")) == {}


def test_a_built_in_preset_that_changes_below_keeps_the_change():
    changes = overlay.settled(M365, {"limits.per_minute": 20, "caveat": "Ask IT first."})
    newer = replace(M365, limits=Limits(per_minute=60, connections=9), caveat="New.", verified=date(2027, 1, 1))
    laid = overlay.lay(newer, changes).preset
    assert (laid.limits.per_minute, laid.limits.connections) == (20, 9)
    assert (laid.caveat, laid.verified) == ("Ask IT first.", date(2027, 1, 1))


def test_a_change_that_a_newer_preset_forbids_is_left_out_and_said():
    newer = replace(M365, wrong_ports={2525: "It stopped answering there."})
    found = overlay.lay(newer, {"ports": [[2525, "starttls"]], "limits.per_minute": 20})
    assert found.problems == {"ports": "It stopped answering there."}
    assert (found.preset.ports, found.preset.limits.per_minute) == (M365.ports, 20)


@pytest.mark.parametrize(
    "changes, differs",
    [
        ({"limits.per_minute": 20}, True),
        ({"limits.size": 1_000_000}, True),
        ({"limits.per_day": 1}, False),
        ({"limits.note": "x"}, False),
        ({"caveat": "x", "host": "smtp.example.com", "ports": [[587, "starttls"]]}, False),
    ],
)
def test_only_limits_that_postfix_is_told_count_as_told(changes, differs):
    assert overlay.postfix_differs(M365, overlay.lay(M365, changes).preset) is differs
