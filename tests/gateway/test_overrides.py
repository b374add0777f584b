"""Presets as this organisation changed them: the verbs, what they leave alone, what gateways that run make of it."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from controlpanel.access.models import AuditEntry
from gateway import checking, overrides, rotation, rules, smarthosts, wanted
from gateway.deliverability import domains
from gateway.models import Gateway, PresetOverride, Smarthost
from gateway.postfix.plan import plan
from gateway.postfix.spec import Wanted
from gateway.providers import presets
from gateway.values import Values
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, OwnSmarthostFactory, SmarthostFactory
from tests.gateway.postfix.test_golden import after, facts

pytestmark = pytest.mark.django_db
CASE = json.loads((Path(__file__).parent / "postfix/golden/plans/clean-debian12.json").read_text())
CLEAN = facts(CASE["facts"])
ROOT = Path(__file__).resolve().parents[2] / "gateway"
M365 = presets.get("m365")


def test_nothing_changed_is_the_built_in_preset():
    assert overrides.preset("m365") is M365
    assert overrides.all() == presets.all()
    assert overrides.labels()[0] == ("generic", "Other SMTP server")
    with pytest.raises(KeyError):
        overrides.preset("nobody")


def test_a_change_holds_everywhere_at_once(administrator):
    overrides.change("sendgrid", {"host": "smtp.relay.example.com", "dns.spf_include": "x.example.com"}, by=None)
    made = smarthosts.create("s", Values(preset="sendgrid", password=Secret("SG.x")), by=administrator)
    assert made.host == "smtp.relay.example.com"
    assert domains.sender("sendgrid").dns.spf_include == "x.example.com"
    assert {preset.slug: preset for preset in overrides.all()}["sendgrid"].host == "smtp.relay.example.com"


def test_a_region_of_ours_makes_an_account(administrator):
    overrides.change("ses", {"regions": {"eu-south-1": ["Europe (Milan)", "eu-south-1"]}}, by=None)
    key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    new = Values(preset="ses", region="eu-south-1", username="AKIAIOSFODNN7EXAMPLE", password=key, iam_secret=True)
    made = smarthosts.create("ses", new, by=administrator)
    assert made.host == "email-smtp.eu-south-1.amazonaws.com"
    assert made.password != key


def test_changes_add_up_and_the_built_in_value_takes_one_back(administrator):
    overrides.change("m365", {"limits.per_minute": 20}, "IT asked for it.", by=administrator)
    after = overrides.change("m365", {"caveat": "Ask IT first."}, by=administrator)
    assert after.changes == {"limits.per_minute": 20, "caveat": "Ask IT first."}
    assert (after.note, after.row.changed_by) == ("IT asked for it.", administrator)
    after = overrides.change("m365", {"limits.per_minute": 30}, by=administrator)
    assert after.changes == {"caveat": "Ask IT first."}
    overrides.change("m365", {"caveat": M365.caveat}, "", by=administrator)
    assert not PresetOverride.objects.exists()


def test_back_to_the_built_in_values(administrator):
    overrides.change("m365", {"limits.per_minute": 20, "caveat": "Ask IT first."}, "why", by=administrator)
    assert overrides.reset("m365", by=administrator).preset is M365
    assert not PresetOverride.objects.exists()
    assert AuditEntry.objects.first().verb == "put back"
    count = AuditEntry.objects.count()
    overrides.reset("m365", by=administrator)
    assert AuditEntry.objects.count() == count


def test_the_audit_log_tells_both_values(administrator):
    overrides.change("m365", {"limits.per_minute": 20}, "why", by=administrator)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.subject_id) == (administrator, "changed", "m365")
    assert entry.detail["changed"] == {"limits.per_minute": [30, 20], "note": ["", "why"]}
    overrides.change("m365", {"limits.per_minute": 20}, "why", by=administrator)
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    "changes, field",
    [({"host": "no host"}, "host"), ({"slug": "x"}, "slug"), ({"verified": "2999-01-01"}, "verified")],
)
def test_what_does_not_fit_is_refused_by_field_and_nothing_is_stored(changes, field):
    with pytest.raises(ValidationError) as refused:
        overrides.change("m365", changes, by=None)
    assert list(refused.value.message_dict) == [field]
    assert not PresetOverride.objects.exists() and not AuditEntry.objects.exists()


@pytest.mark.parametrize("stored", [None, [], "x", {"host": 7}, {"nonsense": 1}, {"ports": [[465, "implicit"]]}])
def test_a_bad_row_leaves_the_built_in_preset_and_says_so(stored):
    PresetOverride.objects.create(preset="m365", changes=stored or [])
    PresetOverride.objects.create(preset="gone-since", changes={"host": "smtp.example.com"})
    known = overrides.known("m365")
    assert known.preset == M365 and known.problems
    assert overrides.all() == presets.all()
    assert overrides.change("m365", {"caveat": "Mended."}, by=None).problems == {}


def test_the_list_costs_one_statement_and_labels_none(django_assert_num_queries, administrator):
    for slug in ("m365", "ses", "gmail"):
        overrides.change(slug, {"caveat": "Ours."}, by=administrator)
    with django_assert_num_queries(1):
        overrides.all()
    with django_assert_num_queries(1):
        overrides.preset("m365")
    with django_assert_num_queries(0):
        overrides.labels()
        rules.label("m365")
        rules.ready(Values(preset="m365", username="a@example.com"), has_password=True)


# What gateways that run already make of it


@pytest.fixture
def box():
    row = SmarthostFactory(preset="m365", host="smtp.office365.com", username="box@example.com")
    return GatewayFactory(wanted=row, working=True, applied_revision=1).applied


@pytest.mark.parametrize(
    "changes, counted",
    [
        ({"limits.per_minute": 20}, True),
        ({"limits.size": 1_000_000}, True),
        ({"from_policy": "any"}, True),
        ({"from_policy": "reject"}, True),
        ({"limits.per_day": 9, "limits.note": "x"}, False),
        ({"host": "smtp.example.com", "ports": [[587, "starttls"]], "caveat": "x", "dns.spf_include": ""}, False),
    ],
)
def test_only_what_postfix_is_told_makes_values_of_the_gateway_earlier_ones(box, changes, counted):
    overrides.change("m365", changes, by=None)
    assert rotation.use(box_now := Smarthost.objects.get(pk=box.pk)).behind == counted
    assert (box_now.host, box_now.port) == ("smtp.office365.com", 587)
    assert AuditEntry.objects.get().detail["accounts_on_earlier_values"] == counted


def test_a_sender_policy_counts_only_where_senders_become_others(box):
    other = SmarthostFactory(preset="m365", username="service", sending_domain="example.com")
    own = OwnSmarthostFactory(preset="m365", username="own@example.com")
    foreign = SmarthostFactory(preset="sendgrid")
    overrides.change("m365", {"from_policy": "any"}, by=None)
    counted = Smarthost.objects.filter(revision=2).values_list("pk", flat=True)
    assert set(counted) == {box.pk, own.pk}
    assert {other.pk, foreign.pk}.isdisjoint(counted)


def test_the_password_in_force_stays_the_password_in_force(box):
    Gateway.objects.update(applied_password_revision=1)
    overrides.change("m365", {"limits.per_minute": 20}, by=None)
    box.refresh_from_db()
    assert (box.revision, box.password_revision) == (2, 1)
    assert rotation.use(box).earlier == 0


def test_a_roll_back_takes_no_gateway_for_what_the_earlier_password_would_make_of_it(box, administrator):
    """It would be marked as up to date, and its next look would call it changed by hand."""
    new = Values(preset="m365", host=box.host, username=box.username, password=Secret("newer"))
    new = replace(new, sending_domain=box.sending_domain)
    smarthosts.change(box, box.name, new, by=administrator)
    box.refresh_from_db()
    assert rotation.untouched(box) == 1
    overrides.change("m365", {"limits.per_minute": 20}, by=None)
    box.refresh_from_db()
    assert rotation.untouched(box) == 0 and box.keeps_previous
    rotation.roll_back(box, by=administrator)
    assert Gateway.objects.get().applied_revision == 1


def looked_at(row: Smarthost, facts) -> tuple[str, str]:
    """How a look at a server in this state judges the gateway that was proved on `row` as it was then."""
    gateway = Gateway.objects.select_related("applied", "wanted").get(applied=row)
    judged = checking.judge(gateway, facts, mask=lambda secret: None)
    return judged.word, judged.text


@pytest.mark.parametrize(
    "changes, parameter",
    [({"limits.per_minute": 20}, "smtp_destination_rate_delay"), ({"from_policy": "any"}, "")],
    ids=["limits", "senders"],
)
def test_a_gateway_that_would_be_written_otherwise_now_was_changed_by_nobody(box, changes, parameter):
    server = Gateway.objects.get(applied=box).server
    relay = wanted.relay(box, wanted.share(box))
    done = plan(CLEAN, Wanted(relay=relay), wanted.digest_key(server))
    there = after(CLEAN, done)
    assert parameter.encode() in there.main_cf
    Gateway.objects.update(generation=there.maps[0].name, applied_share=wanted.share(box))
    assert looked_at(box, there)[0] == "installed"
    overrides.change("m365", changes, by=None)
    word, told = looked_at(box, there)
    assert (word, "were changed since: reinstall" in told) == ("outdated", True)
    overrides.reset("m365", by=None)
    assert looked_at(box, there)[0] == "installed"


def calls(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "presets":
            yield node.attr


def test_nobody_in_the_gateway_reads_built_in_presets_past_the_changes():
    reading = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if path.parent.name != "providers" and {"get", "all", "for_host"} & set(calls(path))
    }
    assert reading == {"overrides.py"}
