"""Known providers in a real browser: readable by everybody, no wider than the phone, changed without a mouse."""

import pytest
from django.urls import reverse

from gateway import overrides
from tests import factories
from tests.web.conftest import chromium, watch  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", {"width": 1280, "height": 900}), ("dark", {"width": 390, "height": 844})],
    ids=["wide", "phone"],
)
def test_a_limit_is_changed_and_seen(watch, administrator, scheme, size):  # noqa: F811
    factories.SmarthostFactory(preset="ses", host="email-smtp.example.com")
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    seen.open(reverse("smarthosts:list"))
    assert not seen.violations()
    seen.page.get_by_role("link", name="Known providers").click()
    assert not seen.violations()
    seen.page.get_by_role("link", name="Amazon SES").click()
    seen.page.get_by_text("19 regions and their servers").click()
    assert not seen.violations()
    seen.page.get_by_role("link", name="Change values").click()
    seen.page.get_by_label("Messages a minute").fill("many")
    seen.page.get_by_role("button", name="Save").click()
    seen.page.get_by_text("Type a whole number.").wait_for()
    assert not seen.violations()
    seen.page.get_by_label("Messages a minute").fill("840")
    seen.page.get_by_label("More regions").fill("eu-south-1 = Europe (Milan)")
    seen.page.keyboard.press("Tab")
    seen.page.get_by_role("button", name="Save").press("Enter")
    seen.page.get_by_text("2 values differ from the built-in ones").wait_for()
    assert not seen.violations() and not seen.trouble
    assert overrides.preset("ses").limits.per_minute == 840
    seen.page.get_by_role("link", name="Back to the built-in values").click()
    assert not seen.violations() and not seen.trouble


def test_a_server_s_form_offers_to_find_the_settings(watch, operator):  # noqa: F811
    server = factories.ServerFactory()
    seen = watch(color_scheme="dark", viewport={"width": 390, "height": 844})
    seen.sign_in(operator)
    seen.open(reverse("servers:services", args=[server.pk]) + "?provider=own:m365-direct")
    seen.page.get_by_text("Find the settings by an e-mail address").click()
    seen.page.get_by_label("Your e-mail address or domain").fill("someone@gmail.com")
    assert not seen.violations()
    seen.page.get_by_role("button", name="Find settings").click()
    seen.page.get_by_text("gmail.com belongs to Gmail").wait_for()
    assert seen.page.input_value("[name=host]") == "smtp.gmail.com"
    assert not seen.violations() and not seen.trouble
