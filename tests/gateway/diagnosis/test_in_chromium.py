"""The pages of a diagnosis in a real browser: readable by everybody, no wider than the phone."""

import os

import pytest

from gateway.diagnosis import report
from gateway.diagnosis.scan import Scan, Seen
from gateway.diagnosis.values import Asked
from gateway.diagnosis.verdict import judge
from gateway.proof import Proof, Stage
from gateway.providers.replies import explain
from servers.jobs.models import Status
from tests import factories
from tests.gateway.diagnosis.test_batch import DROPPED, FINE, GREETS, SILENT
from tests.gateway.diagnosis.test_batch import diagnosed as in_batch
from tests.web.conftest import chromium, watch  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOST, FOUR, SIX = "smtp.example.com", "192.0.2.25", "2001:db8::25"


def diagnosed(server, smarthost) -> str:
    hears = {"greeting": f"220 {HOST} ESMTP " + "x" * 120, "offers": ("STARTTLS",), "state": "open", "ms": 12}
    what = {25: {"state": "silent"}, 465: {"state": "open", "tls": True}, 587: {"state": "silent"}, 2525: hears}
    seen = tuple(Seen(address, port, **one) for address in (FOUR, SIX) for port, one in what.items())
    words = f"connect to {HOST}[{FOUR}]:587: Connection timed out"
    stages = (Stage("name", "ok", f"{HOST} [{FOUR}, {SIX}]", 8), Stage("tcp", "fail", words, 6000, explain(words)))
    asked = Asked(HOST, 587, "starttls")
    verdict = judge(asked, seen, stages[-1])
    heard = ("S: 220 hello", "C: EHLO web1", "S: 250 ok", "* TLSv1.3", "S: 454 later", "S: 535 5.7.8 no")
    proof = Proof(stages, "tunnel", heard)
    result = report.result(asked, Scan(seen), stages, proof, ("The server's clock is 400 s off.",), verdict)
    job = factories.JobFactory(
        server=server,
        action="gateway.diagnose",
        status=Status.FAILED,
        result=result,
        mutating=False,
        outcome=verdict.cause,
        hint=verdict.fix,
        cause=verdict.slug,
    )
    job.batch.options = {"smarthost": str(smarthost.pk)}
    job.batch.save()
    return f"/servers/{server.pk}/services/gateway/diagnosis/{job.pk}/"


SIZES = pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", {"width": 1280, "height": 900}), ("dark", {"width": 390, "height": 844})],
    ids=["wide", "phone"],
)


@SIZES
def test_the_way_out_is_one_button_away(watch, operator, scheme, size):  # noqa: F811
    server = factories.ServerFactory(name="web-01")
    own = factories.OwnSmarthostFactory(server=server, host=HOST)
    factories.GatewayFactory(server=server, wanted=own)
    there = diagnosed(server, own)
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(operator)
    seen.open(there)
    assert not seen.violations()
    seen.page.get_by_role("link", name="Use port 2525 with STARTTLS").click()
    seen.page.wait_for_url("**port=2525**")
    assert seen.page.input_value("[name=port]") == "2525"
    assert not seen.violations() and not seen.trouble


@SIZES
def test_a_fleet_is_told_by_cloud_and_its_port_is_one_form_away(watch, administrator, scheme, size):  # noqa: F811
    batch, shared = factories.BatchFactory(action="gateway.diagnose"), factories.SmarthostFactory(host=HOST)
    for n in range(8):
        in_batch(batch, f"droplet-{n}.example.com", "digitalocean", DROPPED, shared)
    in_batch(batch, "rack-1", "", DROPPED | {587: {"state": "refused", "words": "Connection refused"}}, shared)
    in_batch(batch, "rack-2", "", DROPPED | {587: {"state": "unreachable", "words": "No route to host"}}, shared)
    in_batch(batch, "rack-3", "", FINE, shared)
    in_batch(batch, "hz-1", "hetzner", {25: SILENT, 465: SILENT, 587: GREETS, 2525: GREETS}, shared)
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    seen.open(f"/jobs/batches/{batch.pk}/")
    assert not seen.violations()
    if folder := os.environ.get("SHOTS"):
        seen.page.screenshot(path=f"{folder}/fleet-{scheme}.png", full_page=True)
    seen.page.get_by_role("button", name="Use port 2525 with STARTTLS on 8 servers").click()
    seen.page.wait_for_url("**/bulk/gateway/use-port/")
    assert seen.page.input_value("[name=port]") == "2525"
    assert not seen.violations() and not seen.trouble
    if folder := os.environ.get("SHOTS"):
        seen.page.screenshot(path=f"{folder}/use-port-{scheme}.png", full_page=True)
