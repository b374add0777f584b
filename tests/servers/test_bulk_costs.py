"""What a bulk page and its asking cost: the same for few servers and for many."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from servers import bulk
from servers.jobs.models import Job
from servers.models import Server
from tests import factories
from tests.servers.test_bulk import _toy as _toy  # the fixture
from tests.servers.test_bulk import everything, url

pytestmark = pytest.mark.django_db


def test_the_page_and_the_asking_cost_the_same_for_five_and_for_two_hundred(operator_client):
    def cost(count: int) -> list[int]:
        Job.objects.all().delete()
        for _ in range(count - Server.objects.count()):
            factories.ServerFactory(tags=["a"])
        costs, sent = [], everything()
        for status in (200, 302):
            with CaptureQueriesContext(connection) as queries:
                page = operator_client.post(url(), sent)
            assert page.status_code == status
            costs.append(len(queries))
            if status == 200:
                sent = page.context["carried"] | {"confirm": "1", "text": "hello"}
        return costs

    cost(1)
    few = cost(5)
    many = cost(200)
    assert many[0] == few[0]
    assert many[1] <= few[1] + 8  # SQLite takes so many values a statement
    assert few[0] <= 12
    assert few[1] <= 25


def test_every_entry_opens_and_costs_the_same_for_five_and_for_sixty(administrator_client):
    factories.SmarthostFactory(default=True)

    def cost(count: int) -> dict[str, int]:
        for number in range(count - Server.objects.count()):
            server = factories.ServerFactory()
            factories.GatewayFactory(server=server, working=bool(number % 2))
        costs = {}
        for service, entry in bulk.offered(administrator_client.user):
            with CaptureQueriesContext(connection) as queries:
                page = administrator_client.post(url(service.slug, entry.slug), everything())
            assert page.status_code == 200
            assert entry.label in page.context["verb"]
            costs[f"{service.slug}.{entry.slug}"] = len(queries)
        return costs

    cost(1)
    few = cost(5)
    assert cost(60) == few
    assert max(few.values()) <= 14
