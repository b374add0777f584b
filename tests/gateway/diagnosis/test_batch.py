"""A batch of diagnoses: its page, its report, its command and the way from there to the other port."""

import json
from io import StringIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gateway import mending
from gateway.diagnosis import report
from gateway.diagnosis.scan import Scan, Seen
from gateway.diagnosis.values import Asked
from gateway.diagnosis.verdict import judge
from gateway.management import words
from gateway.models import Gateway
from gateway.proof import Proof, Stage
from gateway.providers import clouds
from gateway.providers.replies import explain
from servers.jobs.models import Batch, Job, Status
from servers.management import console
from tests.factories import (
    BatchFactory,
    GatewayFactory,
    JobFactory,
    OwnSmarthostFactory,
    ServerFactory,
    SmarthostFactory,
)

pytestmark = pytest.mark.django_db
HOST = "smtp.canary-shared.example"
GREETS = {"state": "open", "greeting": f"220 {HOST} ESMTP", "offers": ("STARTTLS",)}
SILENT, OPEN = {"state": "silent"}, GREETS
DROPPED = {25: SILENT, 465: SILENT, 587: SILENT, 2525: GREETS, 2587: SILENT, 8025: SILENT}
FINE = dict.fromkeys(DROPPED, OPEN)


def diagnosed(batch: Batch, name: str, cloud: str, ports: dict, wanted=None) -> Job:
    server = ServerFactory(name=name, cloud=cloud)
    GatewayFactory(server=server, wanted=wanted or SmarthostFactory(host=HOST))
    seen = tuple(Seen("192.0.2.1", port, **what) for port, what in ports.items())
    words = f"connect to {HOST}[192.0.2.1]:587: Connection timed out"
    asked = Asked(HOST, 587, "starttls", cloud=cloud)
    blocker = None if ports is FINE else Stage("tcp", "fail", words, 0, explain(words))
    verdict = judge(asked, seen, blocker)
    result = report.result(asked, Scan(seen), (blocker,) if blocker else (), Proof((), "none"), (), verdict)
    told = {"outcome": verdict.cause, "hint": verdict.fix, "cause": verdict.slug} if verdict else {"outcome": "Fine."}
    status = Status.FAILED if verdict else Status.SUCCEEDED
    return JobFactory(
        batch=batch,
        server=server,
        action="gateway.diagnose",
        mutating=False,
        rank=1,
        status=status,
        result=result,
        **told,
    )


@pytest.fixture
def batch() -> Batch:
    """Three droplets that are blocked, and two servers elsewhere that are not."""
    made, shared = BatchFactory(action="gateway.diagnose"), SmarthostFactory(host=HOST)
    for name in ("do-1", "do-2", "do-3"):
        diagnosed(made, name, "digitalocean", DROPPED, shared)
    for name in ("rack-1", "rack-2"):
        diagnosed(made, name, "", FINE, shared)
    return made


SENTENCE = (
    "On DigitalOcean 587 is silent on 3 of 3 servers and 2525 is open: "
    "DigitalOcean blocks outgoing 25, 465 and 587 on all Droplets by default."
)
ELSEWHERE = "Where the network is unknown, nothing stands in the way on 2 of 2 servers."


def shown(client, batch: Batch) -> str:
    return client.get(reverse("jobs:batch", args=[batch.pk])).content.decode()


def test_the_page_groups_by_cloud_and_leads_to_the_port_that_works(administrator_client, batch):
    page = shown(administrator_client, batch)
    assert SENTENCE in page and ELSEWHERE in page and HOST in page
    assert page.index(">DigitalOcean</h2>") < page.index(">Unknown network</h2>")
    assert "do-1, do-2, do-3" in page and ">8025</th>" in page
    assert f'href="{clouds.get("digitalocean").where}"' in page
    answer = administrator_client.get(reverse("jobs:batch", args=[batch.pk]))
    (offer,) = answer.context["together"][0]["offers"]
    assert offer["label"] == "Use port 2525 with STARTTLS on 3 servers" and offer["label"] in page
    posted = {"servers": ",".join(offer["servers"]), "port": offer["port"], "tls": offer["tls"]}
    form = administrator_client.post(offer["url"], posted)
    assert form.context["going"]["names"] == ["do-1", "do-2", "do-3"]
    assert form.context["form"].initial["port"] == "2525"
    done = form.context["carried"] | posted | {"password": "typed again", "confirm": "1"}
    answer = administrator_client.post(offer["url"], done)
    assert answer.status_code == 302 and Job.objects.filter(action="gateway.install").count() == 3
    assert set(Gateway.objects.filter(wanted__port=2525).values_list("server__name", flat=True)) == {
        "do-1",
        "do-2",
        "do-3",
    }


def test_who_may_not_run_anything_reads_and_is_offered_nothing(viewer_client, customer_client, batch):
    page = shown(viewer_client, batch)
    assert SENTENCE in page and "Use port 2525 with STARTTLS on" not in page and HOST not in page
    customer_client.user.servers.add(batch.jobs.get(server__name="rack-1").server)
    mine = shown(customer_client, batch)
    assert "DigitalOcean" not in mine and "on 1 of 1 server" in mine


def test_an_operator_is_offered_the_servers_with_values_of_their_own(operator, client):
    client.force_login(operator)
    made = BatchFactory(action="gateway.diagnose")
    diagnosed(made, "theirs", "digitalocean", DROPPED)
    server = diagnosed(made, "own", "digitalocean", DROPPED).server
    Gateway.objects.filter(server=server).update(wanted=OwnSmarthostFactory(server=server, host=HOST))
    answer = client.get(reverse("jobs:batch", args=[made.pk]))
    (offer,) = answer.context["together"][0]["offers"]
    assert offer["servers"] == [str(server.pk)] and offer["label"].endswith("on 1 server")


def test_what_failed_for_many_is_mended_for_many(administrator, batch):
    job = batch.jobs.get(server__name="do-1")
    label, there = mending.mends(administrator, [job])[job.pk]
    assert label == "Use port 2525 with STARTTLS"
    assert there == f"{reverse('jobs:batch', args=[batch.pk])}#together"


def test_the_report_keeps_it(operator_client, batch):
    told = json.loads(operator_client.get(reverse("jobs:batch-json", args=[batch.pk])).content)
    first, second = told["together"]
    assert (first["cloud"], first["label"], first["sentence"]) == ("digitalocean", "DigitalOcean", SENTENCE)
    (row,) = first["rows"]
    assert row["servers"] == ["do-1", "do-2", "do-3"] and row["cause"] == "port-blocked-by-cloud"
    assert {cell["port"]: cell["state"] for cell in row["cells"]}[2525] == "open"
    assert second["sentence"] == ELSEWHERE
    table = operator_client.get(reverse("jobs:batch-csv", args=[batch.pk]))
    lines = b"".join(table.streaming_content).decode() if table.streaming else table.content.decode()
    assert "cloud,port_25" in lines and "DigitalOcean,silent" in lines and "8025 silent" in lines


def test_the_command_prints_it(batch):
    out = StringIO()
    words.print_diagnoses(batch, out)
    said = out.getvalue()
    assert SENTENCE in said and ELSEWHERE in said
    assert "do-1, do-2, do-3" in said and "[silent]" in said
    told = console.document(batch)["together"]
    assert [group["sentence"] for group in told] == [SENTENCE, ELSEWHERE] and len(told[0]["offers"][0]["servers"]) == 3
    assert "together" not in console.document(BatchFactory(action="gateway.check"))


def test_servers_that_could_not_be_reached_and_other_actions_say_nothing_together(operator_client):
    lost = BatchFactory(action="gateway.diagnose")
    for _ in range(2):
        JobFactory(batch=lost, action="gateway.diagnose", mutating=False, failed=True, cause="connect-timeout", rank=1)
    assert 'class="card together"' not in shown(operator_client, lost)
    check = BatchFactory(action="gateway.check")
    JobFactory(batch=check, action="gateway.check", mutating=False, succeeded=True, rank=1)
    assert 'class="card together"' not in shown(operator_client, check)


def test_it_costs_one_statement_for_few_and_for_many(operator_client, batch):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            shown(operator_client, batch)
        return len(queries)

    cost()
    few = cost()
    for n in range(20):
        diagnosed(batch, f"more-{n}", "hetzner", DROPPED)
    assert cost() == few
