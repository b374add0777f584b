"""A shared password, replaced by somebody who reads nothing but the pages."""

import pytest

from gateway.models import Gateway, Smarthost
from servers.jobs.models import Job
from servers.models import Server
from servers.remote.secret import Secret
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def provider():
    smarthost = factories.SmarthostFactory(name="main", password=Secret("canary-old"))
    for number in range(41):
        factories.GatewayFactory(wanted=smarthost, working=True, server__name=f"web-{number:02}")
    Server.objects.update(reach="ok")
    Server.objects.filter(name="web-07").update(reach="key-changed")
    return smarthost


@pytest.mark.parametrize(
    ("scheme", "size", "scripts"),
    [("light", {"width": 1280, "height": 900}, True), ("dark", {"width": 390, "height": 844}, False)],
    ids=["wide", "phone without scripts"],
)
def test_a_password_is_replaced_rolled_out_and_put_back(watch, administrator, provider, scheme, size, scripts):
    seen = watch(color_scheme=scheme, viewport=size, java_script_enabled=scripts)
    seen.sign_in(administrator)
    seen.open(f"/settings/gateway/{provider.pk}/")

    def fine() -> None:
        assert "canary" not in seen.page.content()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert not seen.violations() if scripts else True

    fine()
    seen.page.fill("[name=password]", "canary-new")
    seen.page.get_by_role("button", name="Save").click()
    seen.page.get_by_text("41 of 41 servers still use an earlier password.").wait_for()
    fine()
    seen.page.get_by_role("link", name="41 of 41").click()
    seen.page.wait_for_url("**values=earlier-password")
    seen.page.go_back()
    seen.page.get_by_role("link", name="Prove on 1 server, then roll out to all 41").click()
    seen.page.get_by_text("If it fails, no other server is touched.").wait_for()
    assert "1 Its host key waits" in seen.page.inner_text("main")
    fine()
    seen.page.get_by_label("Prove on").select_option(label="web-11")
    seen.page.get_by_role("button", name="Prove on 1 server, then roll out to 40 servers").click()
    seen.page.wait_for_url("**/jobs/batches/**")
    assert Job.objects.get(released_at__isnull=False).server.name == "web-11"

    Job.objects.all().delete()
    taken = Gateway.objects.filter(server__name__in=["web-00", "web-01"])
    taken.update(applied_revision=2, applied_password_revision=2)
    seen.open(f"/settings/gateway/{provider.pk}/")
    seen.page.get_by_text("39 of 41 servers still use an earlier password.").wait_for()
    seen.page.get_by_role("link", name="Put back the earlier password").click()
    seen.page.get_by_text("2 servers already run on the present one").wait_for()
    fine()
    seen.page.get_by_role("button", name="Put back the earlier password of main").click()
    seen.page.wait_for_url("**/jobs/batches/**")
    assert Smarthost.objects.get().password == Secret("canary-old")
    assert Job.objects.count() == 2
    seen.open(f"/settings/gateway/{provider.pk}/forget/")
    fine()
    assert not seen.trouble
