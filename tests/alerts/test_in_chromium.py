"""The pages of the alerts in a real browser: readable by all, no wider than the phone, alive where they say so."""

import pytest

from servers.alerts import raising, tasks
from servers.alerts.models import Delivery
from tests import factories
from tests.web.conftest import chromium, watch  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SIZES = pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", {"width": 1280, "height": 900}), ("dark", {"width": 390, "height": 844})],
    ids=["wide", "phone"],
)


def raised(numbers: range) -> None:
    for number in numbers:
        server = factories.ServerFactory(name=f"a-rather-long-name-{number}.example.com")
        text, hint = f"Mail that goes through provider {number} waits", "Nothing answers at this address and port."
        raising.raise_alert("mail-waiting", server.pk, server=server, cause=f"{number}", text=text, hint=hint)


@SIZES
def test_no_alert_one_and_forty_fit_every_screen(watch, administrator, scheme, size):  # noqa: F811
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    for more in (range(0), range(1), range(1, 40)):
        raised(more)
        seen.open("/alerts/")
        assert not seen.violations() and not seen.trouble
    seen.page.get_by_role("link", name="Mail that goes through provider 38 waits").click()
    seen.page.wait_for_url("**/alerts/*/")
    assert not seen.violations() and not seen.trouble


@SIZES
def test_the_answer_to_a_test_alert_appears_by_itself(watch, administrator, scheme, size):  # noqa: F811
    factories.RouteFactory(name="Pager")
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    seen.open("/settings/alerts/")
    assert not seen.violations()
    seen.page.get_by_label("Send test alert over Pager").click()
    seen.page.get_by_text("Sending test alert").wait_for()
    seen.page.fill("[name=name]", "Half typed")
    tasks.deliver(Delivery.objects.get().pk)  # as a worker would
    seen.page.get_by_text("Pager did not take the test alert").wait_for()
    assert seen.page.input_value("[name=name]") == "Half typed"
    assert seen.page.locator("#deliveries").get_by_text("Failed").count() == 1
    assert not seen.violations() and not seen.trouble
