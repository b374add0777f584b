"""The page of an SMTP provider: relays without a sign-in, what limits leave, where the facts come from."""

import pytest
from django.urls import reverse

from gateway.models import Gateway, Smarthost
from gateway.providers import presets
from tests.factories import GatewayFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
SERVICES = [pytest.param(preset, id=preset.slug) for preset in presets.all()]


@pytest.fixture
def admin(client, administrator):
    client.force_login(administrator)
    return client


@pytest.mark.parametrize(
    "typed",
    [
        {"preset": "google-relay", "port": "587", "helo_name": "web.example.com"},
        {"preset": "m365-direct", "port": "25", "host": "example-com.mail.protection.outlook.com"},
        {"preset": "godaddy-relay", "port": "25", "tls": "none"},
    ],
    ids=lambda typed: typed["preset"],
)
def test_a_relay_without_a_sign_in_is_added_and_its_risk_is_told(admin, typed):
    form = admin.get(reverse("smarthosts:add"), {"preset": typed["preset"]}).content.decode()
    assert "so every program on it can send in its name" in form
    shown = {"host": presets.get(typed["preset"]).host} | typed
    answer = admin.post(reverse("smarthosts:add"), {"name": "Relay", "verify_certificate": "on"} | shown, follow=True)
    made = Smarthost.objects.get()
    assert (made.username, made.has_password, made.preset) == ("", False, typed["preset"])
    assert "Nobody signs in:" in answer.content.decode()


@pytest.mark.parametrize("preset", SERVICES)
def test_every_preset_has_a_page_that_says_it_is_a_survey(admin, preset):
    page = admin.get(reverse("smarthosts:add"), {"preset": preset.slug}).content.decode()
    assert "It was not tried by signing in there." in page and "August 2026" in page
    assert ("What it wants in DNS" in page) == (preset.dns is not None)


@pytest.fixture
def account():
    return SmarthostFactory(preset="m365", host="smtp.office365.com", username="box@example.com")


def shown(admin, account) -> str:
    return " ".join(admin.get(reverse("smarthosts:edit", args=[account.pk])).content.decode().split())


def test_servers_that_share_an_account_are_told_their_share(admin, account):
    for _ in range(4):
        GatewayFactory(wanted=account)
    page = shown(admin, account)
    assert "4 servers share it: each may hand over one message every 8 seconds" in page
    assert "smtp_destination_rate_delay = 8s" in page
    assert "Divide the limits anew" not in page  # nothing is installed yet


def test_servers_on_an_earlier_share_are_counted_named_and_reached(admin, account):
    early = [GatewayFactory(wanted=account, working=True, applied_share=share) for share in (0, 1, 1)]
    GatewayFactory(wanted=account, working=True, applied_share=4)
    page = shown(admin, account)
    said = "2 servers keep the limits of the whole account, but more servers use the account now."
    assert "1 server keeps no limits yet: they come with the next reinstallation." in page
    assert said in page and "Divide the limits anew on 3 servers" in page
    found = admin.get(reverse("servers:list"), {"provider": account.pk, "values": "uneven"}).content.decode()
    assert {row.server.name for row in early} == {
        row.server.name for row in Gateway.objects.all() if row.server.name in found
    }
    asked = admin.get(reverse("smarthosts:roll-out", args=[account.pk])).content.decode()
    assert "each server may then hand over one message every 8 seconds" in asked


def test_a_smaller_share_than_needed_is_safe_and_said_quietly(admin, account):
    GatewayFactory(wanted=account, working=True, applied_share=8)
    page = shown(admin, account)
    assert "1 server keeps limits for 8 servers, but fewer use the account now." in page
    assert "state-warn" not in page.partition('id="smarthost-use"')[2].partition("</section>")[0]


def test_an_even_division_needs_no_word(admin, account):
    for _ in range(3):
        GatewayFactory(wanted=account, working=True, applied_share=4)
    page = shown(admin, account)
    assert "use the account now" not in page and "Divide the limits anew" not in page
