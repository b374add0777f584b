"""Known providers: what every preset says on its page, changing it, and who may."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gateway import overrides
from gateway.models import PresetOverride
from gateway.providers import overlay, presets
from tests.factories import GatewayFactory, OwnSmarthostFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
EVERY = [pytest.param(preset, id=preset.slug) for preset in presets.all()]
HOSTILE = "<script>alert(1)</script>"


def typed(slug: str, **more: str) -> dict:
    """The form as it stands, with `more` typed over it."""
    known = overrides.known(slug)
    fields = overlay.offered(known.built_in)
    shown = {field.name: field.kind.spell(known.changes.get(field.name, field.of(known.built_in))) for field in fields}
    seen = known.row.changed_at.isoformat() if known.row else ""
    return shown | {"note": known.note, "seen": seen} | {name.replace("__", "."): text for name, text in more.items()}


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def test_the_list_has_every_provider_with_its_age(operator_client):
    page = text(operator_client.get(reverse("smarthosts:presets")))
    for preset in presets.all():
        assert reverse("smarthosts:preset", args=[preset.slug]) in page
    assert "Surveyed" in page and "Changed here" not in page and "30 messages a minute" in page


@pytest.mark.parametrize("preset", EVERY)
def test_every_preset_has_a_page_and_an_unchanged_form_changes_nothing(administrator_client, preset):
    page = text(administrator_client.get(reverse("smarthosts:preset", args=[preset.slug])))
    assert "As it came" in page and "It was not tried by signing in there." in page
    url = reverse("smarthosts:preset-edit", args=[preset.slug])
    assert administrator_client.get(url).status_code == 200
    answer = administrator_client.post(url, typed(preset.slug), follow=True)
    assert "has the built-in values" in text(answer)
    assert not PresetOverride.objects.exists()


def test_a_change_shows_both_values_and_goes_back(administrator_client):
    url = reverse("smarthosts:preset-edit", args=["m365"])
    data = typed("m365", limits__per_minute="20", ports="587", verified="2026-11-20", source="Our tests", note=HOSTILE)
    page = text(administrator_client.post(url, data, follow=True))
    assert "Microsoft 365 was saved: 4 values differ from the built-in ones." in page
    assert "Built-in: 30" in page and "Built-in: 587 (STARTTLS), 25 (STARTTLS)" in page
    assert "Verified by us" in page and "from Our tests." in page and "not tried" not in page
    assert HOSTILE not in page and "&lt;script&gt;" in page
    assert "Built-in: 30." in text(administrator_client.get(url))
    listed = text(administrator_client.get(reverse("smarthosts:presets")))
    assert listed.count("Changed here") == 1 and "20 messages a minute" in listed
    reset = reverse("smarthosts:preset-reset", args=["m365"])
    assert "Messages a minute: “20” becomes “30”." in text(administrator_client.get(reset))
    assert "As it came" in text(administrator_client.post(reset, follow=True))


def test_what_is_refused_stays_typed_beside_its_reason(administrator_client):
    url = reverse("smarthosts:preset-edit", args=["m365"])
    answer = administrator_client.post(url, typed("m365", ports="465", limits__per_minute="many", caveat="Kept."))
    page = text(answer)
    assert answer.status_code == 422
    assert "Type a whole number." in page and 'value="many"' in page and "Kept." in page
    answer = administrator_client.post(url, typed("m365", ports="465", verified="2999-01-01"))
    assert "Microsoft 365 does not answer on port 465" in text(answer)
    assert "This day has not come yet." in text(administrator_client.post(url, typed("m365", verified="2999-01-01")))
    assert not PresetOverride.objects.exists()


def test_a_form_that_somebody_overtook_undoes_nothing(administrator_client):
    url = reverse("smarthosts:preset-edit", args=["m365"])
    opened = typed("m365", caveat="Mine.")
    overrides.change("m365", {"limits.per_minute": 20}, by=None)
    answer = administrator_client.post(url, opened)
    assert answer.status_code == 422 and "Somebody changed these values" in text(answer)
    assert overrides.known("m365").changes == {"limits.per_minute": 20}
    assert administrator_client.post(url, typed("m365", caveat="Mine.")).status_code == 302
    assert overrides.known("m365").changes == {"limits.per_minute": 20, "caveat": "Mine."}


def test_a_row_that_cannot_be_used_is_named_and_takes_no_page_down(administrator_client):
    PresetOverride.objects.create(preset="m365", changes={"host": 7, "nonsense": HOSTILE})
    PresetOverride.objects.create(preset="ses", changes=["x"])
    page = text(administrator_client.get(reverse("smarthosts:preset", args=["m365"])))
    assert "A stored change cannot be used" in page and "smtp.office365.com" in page
    assert "A change cannot be used" in text(administrator_client.get(reverse("smarthosts:presets")))
    assert administrator_client.get(reverse("smarthosts:preset", args=["ses"])).status_code == 200
    url = reverse("smarthosts:preset-edit", args=["m365"])
    page = text(administrator_client.post(url, typed("m365"), follow=True))
    assert "As it came" in page and "cannot be used" not in page


def test_accounts_keep_what_was_saved_and_are_named_with_a_link(administrator_client):
    same = SmarthostFactory(preset="m365", host="smtp.relay.example.com", name="Newer")
    old = SmarthostFactory(preset="m365", host="smtp.office365.com", name="Older")
    own = OwnSmarthostFactory(preset="m365", host="smtp.office365.com", port=2525)
    GatewayFactory(server=own.server, wanted=own)
    OwnSmarthostFactory(preset="m365", host="nobody.example.com")  # a preview nobody installed
    GatewayFactory(wanted=old, working=True, applied_share=1)
    overrides.change("m365", {"host": "smtp.relay.example.com", "limits.per_minute": 20}, by=None)
    page = text(administrator_client.get(reverse("smarthosts:preset", args=["m365"])))
    assert "<b>2 of 3</b> differ from what stands above" in page
    assert page.count("It still uses smtp.office365.com.") == 2
    assert "Port 2525 with STARTTLS is not among its ports." in page
    assert "1 server runs on earlier values" in page and "nobody.example.com" not in page
    for url in (
        reverse("smarthosts:edit", args=[old.pk]),
        reverse("servers:services", args=[own.server.pk]),
        reverse("smarthosts:roll-out", args=[old.pk]),
    ):
        assert url in page
    old.refresh_from_db()
    assert (old.host, same.host) == ("smtp.office365.com", "smtp.relay.example.com")


def test_servers_that_were_told_no_limits_are_counted_until_they_are(administrator_client):
    account = SmarthostFactory(preset="sendgrid", host="smtp.sendgrid.net")
    gateway = GatewayFactory(wanted=account, working=True, applied_share=0)
    there = reverse("smarthosts:preset", args=["sendgrid"])
    assert "earlier values or limits" not in text(administrator_client.get(there))
    overrides.change("sendgrid", {"limits.per_minute": 60}, by=None)
    # a look that found the server as it was installed: its values are the present ones, its limits are none
    gateway.applied_revision = 2
    gateway.save()
    assert "1 server runs on earlier values or limits" in text(administrator_client.get(there))
    gateway.applied_share = 1
    gateway.save()
    assert "earlier values or limits" not in text(administrator_client.get(there))
    overrides.reset("sendgrid", by=None)
    gateway.applied_revision = 3
    gateway.save()
    assert "1 server runs on earlier values or limits" in text(administrator_client.get(there))


def test_an_operator_reads_and_changes_nothing(operator_client):
    SmarthostFactory(preset="m365", host="secret.example.com", name="Secret account")
    page = text(operator_client.get(reverse("smarthosts:preset", args=["m365"])))
    assert "Secret account" not in page and "secret.example.com" not in page and "Change values" not in page
    for name in ("preset-edit", "preset-reset"):
        url = reverse(f"smarthosts:{name}", args=["m365"])
        assert operator_client.get(url).status_code == 404
        assert operator_client.post(url, typed("m365", limits__per_minute="1")).status_code == 404
    assert not PresetOverride.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "customer"])
def test_whoever_may_not_use_shared_providers_reads_nothing(role, request):
    client = request.getfixturevalue(f"{role}_client")
    assert client.get(reverse("smarthosts:presets")).status_code == 404
    assert client.get(reverse("smarthosts:preset", args=["m365"])).status_code == 404


def test_an_unknown_preset_is_not_found(administrator_client):
    for name in ("preset", "preset-edit", "preset-reset"):
        assert administrator_client.get(reverse(f"smarthosts:{name}", args=["nobody"])).status_code == 404


def cost(client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


@pytest.mark.parametrize("name", ["presets", "preset", "list", "add"])
def test_pages_cost_the_same_with_many_changes_and_many_accounts(name, administrator_client, administrator):
    path = reverse(f"smarthosts:{name}", args=["m365"] if name == "preset" else [])
    SmarthostFactory(preset="m365")
    overrides.change("m365", {"caveat": "Ours."}, by=administrator)
    few = cost(administrator_client, path)
    for preset in presets.all():
        overrides.change(preset.slug, {"caveat": "Ours."}, by=administrator)
        for _ in range(3):
            GatewayFactory(wanted=SmarthostFactory(preset=preset.slug), working=True)
            GatewayFactory(wanted=OwnSmarthostFactory(preset=preset.slug))
    assert cost(administrator_client, path) == few <= 9


def test_the_forms_show_what_was_changed(administrator_client):
    overrides.change("sendgrid", {"host": "smtp.relay.example.com", "caveat": "Ask IT first."}, by=None)
    page = text(administrator_client.get(reverse("smarthosts:add"), {"preset": "sendgrid"}))
    assert 'value="smtp.relay.example.com"' in page and "Ask IT first." in page
    server = GatewayFactory(wanted=None).server
    page = text(administrator_client.get(reverse("servers:services", args=[server.pk]), {"provider": "own:sendgrid"}))
    assert 'value="smtp.relay.example.com"' in page and "Ask IT first." in page
    assert reverse("smarthosts:preset", args=["sendgrid"]) in page


def test_an_account_of_a_region_is_edited_without_moving_to_another_server(administrator_client):
    """The password would be wiped with it: it is never sent to another server."""
    account = SmarthostFactory(preset="ses", region="eu-west-1", host="email-smtp.eu-west-1.amazonaws.com")
    url = reverse("smarthosts:edit", args=[account.pk])
    assert 'name="host"' not in administrator_client.get(url).content.decode()
    overrides.change("ses", {"host": "smtp.{region}.relay.example.com"}, by=None)
    page = administrator_client.get(url).content.decode()
    assert 'value="email-smtp.eu-west-1.amazonaws.com"' in page
    data = {"preset": "ses", "name": "New name", "port": "587", "username": account.username, "region": "eu-west-1"}
    data |= {"verify_certificate": "on", "sending_domain": account.sending_domain}
    administrator_client.post(url, data | {"host": account.host})
    account.refresh_from_db()
    assert (account.name, account.host, account.has_password) == (
        "New name",
        "email-smtp.eu-west-1.amazonaws.com",
        True,
    )
    administrator_client.post(url, data | {"host": ""})
    account.refresh_from_db()
    assert (account.host, account.has_password) == ("smtp.eu-west-1.relay.example.com", False)


def test_a_region_that_is_taken_back_is_not_exchanged_for_another_one(administrator_client):
    overrides.change("ses", {"regions": {"eu-south-1": ["Europe (Milan)", "eu-south-1"]}}, by=None)
    account = SmarthostFactory(preset="ses", region="eu-south-1", host="email-smtp.eu-south-1.amazonaws.com")
    overrides.reset("ses", by=None)
    url = reverse("smarthosts:edit", args=[account.pk])
    page = administrator_client.get(url).content.decode()
    assert '<option value="eu-south-1" selected>eu-south-1, which is not known any more</option>' in page
    data = {"preset": "ses", "name": account.name, "port": "587", "username": account.username, "region": "eu-south-1"}
    assert "has no SMTP server in this region" in text(administrator_client.post(url, data | {"host": account.host}))


def test_the_audit_log_shows_what_was_there_before(administrator_client, administrator):
    overrides.change("m365", {"ports": [[587, "starttls"]], "limits.per_minute": 20}, HOSTILE, by=administrator)
    overrides.change("ses", {"regions": {"eu-south-1": ["Europe (Milan)", "eu-south-1"]}}, by=administrator)
    page = text(administrator_client.get(reverse("audit:list")))
    assert "SMTP provider preset" in page and "Microsoft 365" in page and "Europe (Milan)" in page
    assert "30 → 20" in page and HOSTILE not in page
