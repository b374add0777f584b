"""The drift page in a real browser: a value is kept and let go by buttons, readable by everybody and on a phone."""

import os

import pytest
from django.utils import timezone

from gateway import drift
from gateway.models import Gateway
from gateway.postfix import maincf, paths
from servers.jobs.models import Job
from tests import factories
from tests.gateway.diagnosis.test_in_chromium import SIZES
from tests.web.conftest import chromium, watch  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
THERE = {
    "relayhost": "[smtp-relay.another-provider.example.com]:587",
    "smtp_tls_loglevel": "2",
    "mynetworks": "127.0.0.0/8 10.20.0.0/16 [::ffff:127.0.0.0]/104 [::1]/128 [2001:db8:aaaa:bbbb::]/64",
}
OURS = {
    "relayhost": "[smtp.example.com]:587",
    "smtp_tls_loglevel": "1",
    "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
    "biff": "no",
}


def drifted() -> Gateway:
    server = factories.ServerFactory(name="web-14")
    row = factories.OwnSmarthostFactory(server=server, host="smtp.example.com")
    before, after = ("".join(f"{name} = {value}\n" for name, value in rows.items()) for rows in (THERE, OURS))
    changes = {name: [THERE.get(name), OURS[name]] for name in OURS}
    told = "main.cf differs: relayhost, smtp_tls_loglevel, mynetworks, biff."
    return factories.GatewayFactory(
        server=server,
        wanted=row,
        working=True,
        state=Gateway.State.DRIFTED,
        reason=f"The server is no longer as it was installed. {told}",
        seen_at=timezone.now(),
        problems=[drift.finding("settings", "fail", told, drift.REAPPLY)],
        diffs={paths.MAIN_CF: maincf.diff(paths.MAIN_CF, before, after), drift.CHANGES: changes},
        kept={"inet_interfaces": "all"},
    )


@SIZES
def test_a_value_is_kept_and_let_go_by_buttons(watch, administrator, scheme, size):  # noqa: F811
    gateway = drifted()
    there = f"/servers/{gateway.server_id}/services/gateway/drift/"
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    seen.open(there)
    assert not seen.violations()
    if folder := os.environ.get("SHOTS"):
        for theme in ("light", "dark"):
            seen.page.emulate_media(color_scheme=theme)
            seen.page.reload()  # colours fade from one theme to the other
            seen.page.screenshot(path=f"{folder}/drift-{size['width']}-{theme}.png", full_page=True)
    seen.page.get_by_role("link", name="Enter that server in the form on the Services tab").click()
    seen.page.wait_for_url("**provider=own*")
    assert seen.page.input_value("[name=host]") == "smtp-relay.another-provider.example.com"
    assert not seen.violations()
    if folder := os.environ.get("SHOTS"):
        seen.page.screenshot(path=f"{folder}/services-{size['width']}.png", full_page=True)
    seen.open(there)
    seen.page.get_by_role("button", name="Keep the server's value of biff").click()
    seen.page.wait_for_url("**/jobs/**")
    assert Gateway.objects.get().kept == {"inet_interfaces": "all", "biff": None}
    Job.objects.all().delete()  # the check that nobody runs here
    seen.open(there)
    seen.page.get_by_role("button", name="Stop keeping inet_interfaces").click()
    seen.page.wait_for_url("**/jobs/**")
    assert Gateway.objects.get().kept == {"biff": None}
    assert not seen.trouble
