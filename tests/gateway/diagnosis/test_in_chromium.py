"""The page of a diagnosis in a real browser: readable by everybody, no wider than the phone."""

import pytest

from gateway.diagnosis import report
from gateway.diagnosis.scan import Scan, Seen
from gateway.diagnosis.values import Asked
from gateway.diagnosis.verdict import judge
from gateway.proof import Proof, Stage
from gateway.providers.replies import explain
from servers.jobs.models import Status
from tests import factories
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


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", {"width": 1280, "height": 900}), ("dark", {"width": 390, "height": 844})],
    ids=["wide", "phone"],
)
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
