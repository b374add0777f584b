"""The page of an SMTP provider: relays without a sign-in, what limits leave, where the facts come from."""

import pytest
from django.urls import reverse

from gateway.models import Smarthost
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


def test_servers_that_share_an_account_are_told_their_share(admin):
    shared = SmarthostFactory(preset="m365", host="smtp.office365.com", username="box@example.com")
    for _ in range(4):
        GatewayFactory(wanted=shared)
    page = admin.get(reverse("smarthosts:edit", args=[shared.pk])).content.decode()
    assert "4 servers share it, so each may use 1 connection, one message every 8 seconds" in page
    assert "smtp_destination_rate_delay = 8s" in page
