"""The pages as a person meets them."""

import pytest
from django.core.cache import cache
from django.db import transaction
from playwright.sync_api import expect

from controlpanel.access import audit, links, people
from gateway.models import Gateway
from servers.models import Server
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SIGNED_IN = [
    "/",
    "/profile/",
    "/settings/people/",
    "/settings/people/?q=nobody-matches",
    "/settings/people/invite/",
    "/settings/people/{person}/",
    "/settings/people/{person}/deactivate/",
    "/settings/audit/",
    "/accounts/2fa/",
    "/accounts/2fa/webauthn/",
    "/accounts/sessions/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
    "/accounts/logout/",
    "/no/such/page/",
]


@pytest.fixture(autouse=True)
def _fresh_counters():
    cache.clear()


@pytest.fixture
def fleet(administrator):
    factories.GatewayFactory(state=Gateway.State.BROKEN, reason="535 5.7.8 authentication failed", queued=7)
    factories.GatewayFactory(state=Gateway.State.WORKING)
    factories.ServerFactory(reach=Server.Reach.KEY_CHANGED)
    factories.JobFactory(batch__asked_by=administrator)
    person, _ = people.invite("nia@example.com", "customer", name="Nia", by=administrator)
    with transaction.atomic():
        audit.record(administrator, "changed", person, changed={"name": ["", "N" * 200]})
    return person


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page_is_accessible_quiet_and_within_the_policy(watch, administrator, fleet, size, scheme):
    seen = watch(color_scheme=scheme, viewport=size)
    trouble = {}
    for path in ("/accounts/login/", links.path(links.make(fleet)), "/sign-in/spent/"):
        seen.open(path)
        trouble[path] = seen.violations()
    seen.sign_in(administrator)
    for path in SIGNED_IN:
        seen.open(path.format(person=fleet.pk))
        trouble[path] = seen.violations()
    assert not {path: found for path, found in trouble.items() if found}
    assert not seen.trouble


def test_an_empty_panel_is_accessible_too(watch, administrator):
    seen = watch(viewport=PHONE)
    seen.sign_in(administrator)
    assert "Add SMTP provider" in seen.page.inner_text("main")
    assert not seen.violations()
    assert not seen.trouble


def test_the_panel_is_walked_by_keyboard(watch, administrator, fleet):
    seen = watch(viewport=WIDE)
    seen.sign_in(administrator)
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.className") == "skip-link"
    seen.page.keyboard.press("?")
    assert seen.page.locator("#keys").is_visible()
    assert not seen.violations()
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("g")
    seen.page.keyboard.press("p")
    seen.page.wait_for_url("**/settings/people/")
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("nia")
    seen.page.wait_for_url("**q=nia**")
    assert seen.page.evaluate("document.activeElement.name") == "q", "the search box kept the focus"
    assert seen.page.locator("[data-rows] > tr").count() == 1
    seen.page.evaluate("document.activeElement.blur()")
    seen.page.keyboard.press("j")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url(f"**/settings/people/{fleet.pk}/")
    assert not seen.trouble


def test_the_dashboard_refreshes_in_place(watch, administrator, fleet):
    seen = watch(viewport=WIDE)
    seen.page.clock.install()
    seen.sign_in(administrator)
    seen.page.locator("#number-working").focus()
    Gateway.objects.update(state=Gateway.State.WORKING)
    seen.page.clock.run_for(11_000)
    expect(seen.page.locator("#number-working .number-value")).to_have_text("2")
    assert seen.page.evaluate("document.activeElement.id") == "number-working"
    assert not seen.trouble


def test_a_passkey_is_added_and_opens_the_panel(watch, administrator):
    seen = watch(viewport=WIDE)
    seen.base = seen.base.replace("127.0.0.1", "localhost")  # passkeys are bound to a name
    authority = seen.page.context.new_cdp_session(seen.page)
    authority.send("WebAuthn.enable")
    abilities = {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    options = {"protocol": "ctap2", "transport": "internal", "automaticPresenceSimulation": True} | abilities
    authority.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    seen.sign_in(administrator)
    seen.open("/accounts/2fa/webauthn/add/")
    seen.page.fill("[name=password]", factories.PASSWORD)
    seen.page.get_by_role("button", name="Confirm").click()
    seen.page.fill("[name=name]", "Laptop")
    seen.page.check("[name=passwordless]")
    seen.page.click("#mfa_webauthn_add")
    seen.page.get_by_text("Key added.").wait_for()
    seen.open("/accounts/logout/")
    seen.page.locator("main").get_by_role("button", name="Sign out").click()
    seen.page.click("#passkey_login")
    seen.page.wait_for_url(seen.base + "/")
    assert not seen.trouble


def test_people_are_invited_without_javascript(watch, administrator):
    seen = watch(viewport=PHONE, java_script_enabled=False)
    seen.sign_in(administrator)
    seen.page.get_by_role("link", name="People").click()
    seen.page.get_by_role("link", name="Invite person").click()
    seen.page.fill("[name=email]", "nia@example.com")
    seen.page.get_by_role("button", name="Make sign-in link").click()
    assert "/sign-in/" in seen.page.inner_text("#link")
