"""How many statements a page costs does not depend on how many rows there are."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.models import Gateway
from gateway.models import TestEmail as Sent
from servers.jobs.models import Batch, Job, Status
from servers.models import Server
from tests import factories

pytestmark = pytest.mark.django_db
FEW, MANY = 5, 60
BUDGETS = {
    "/servers/": 14,
    "/servers/?state=working": 14,
    "/servers/?state=needs-you": 14,
    "/servers/?q=web&sort=-checked": 14,
    "/": 22,
    "/?part=now": 15,
    "/test-emails/": 9,
    "/jobs/": 10,
    "/jobs/?q=refused": 10,
    "/jobs/batches/": 12,
    "/jobs/batches/{batch}/": 16,
    "/jobs/{job}/": 14,
}
_KINDS = ({"succeeded": True}, {"failed": True}, {"running": True}, {}, {"failed": True, "cause": "connect-timeout"})


@pytest.fixture
def batch():
    return factories.BatchFactory(action="gateway.check")


def grow(batch: Batch, count: int, person) -> Job:
    """Servers in every state, each with a job of the batch, one of its own and two test emails. Gives a failed job."""
    shared = factories.SmarthostFactory()
    states = list(Gateway.State)
    for n in range(count):
        reach = Server.Reach.FAILED if n % 7 == 0 else Server.Reach.OK
        server = factories.ServerFactory(tags=["eu", f"t{n % 3}"], reach=reach, people=[person])
        own = factories.OwnSmarthostFactory(server=server, host=f"mx{n}.example.net") if n % 4 == 0 else shared
        factories.GatewayFactory(server=server, wanted=own, applied=own, state=states[n % len(states)], queued=n % 3)
        factories.JobFactory(
            batch=batch, server=server, action="gateway.check", mutating=False, rank=1, **_KINDS[n % 5]
        )
        ended = factories.JobFactory(server=server, action="gateway.install", failed=True)
        step = factories.JobStepFactory(job=ended)
        for _ in range(3):
            factories.JobLineFactory(step=step)
        for delivery in ("sent", "deferred"):
            at = timezone.now() - timedelta(days=n % 14)
            Sent.objects.create(server=server, smarthost=own, job=None, at=at, delivery=delivery)
    return Job.objects.filter(status=Status.FAILED, batch__action="gateway.install").latest("pk")


def costs(client, batch: Batch, job: Job) -> dict[str, int]:
    found = {}
    for path in BUDGETS:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path.format(batch=batch.pk, job=job.pk)).status_code in (200, 286)
        found[path] = len(queries)
    return found


@pytest.mark.parametrize("role", ["administrator", "operator", "customer"])
def test_pages_cost_the_same_for_five_servers_and_for_sixty(role, request, batch):
    client = request.getfixturevalue(f"{role}_client")
    job = grow(batch, FEW, client.user)
    costs(client, batch, job)  # what is asked once a process
    few = costs(client, batch, job)
    job = grow(batch, MANY - FEW, client.user)
    many = costs(client, batch, job)
    assert many == few
    assert {path: cost for path, cost in many.items() if cost > BUDGETS[path]} == {}


def test_no_page_reads_every_server_to_count_them(administrator_client, batch):
    grow(batch, MANY, administrator_client.user)
    for path in ("/", "/servers/?state=needs-you", "/servers/?q=web"):
        with CaptureQueriesContext(connection) as queries:
            administrator_client.get(path)
        whole = [q["sql"] for q in queries if 'FROM "servers_server"' in q["sql"].partition(" WHERE ")[0]]
        unbounded = [sql for sql in whole if "LIMIT" not in sql and "COUNT(" not in sql and " IN (" not in sql]
        assert unbounded == [], path
