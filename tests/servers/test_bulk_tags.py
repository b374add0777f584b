"""Tags of many servers at once."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from controlpanel.access.models import AuditEntry
from servers.jobs.models import Job
from servers.models import Tag
from tests import factories
from tests.servers.test_bulk import LIST, confirm, everything, ticked, url
from tests.servers.test_bulk import _toy as _toy  # the fixture

pytestmark = pytest.mark.django_db


def test_tags_are_added_and_taken_away_at_once(administrator_client):
    one, two = factories.ServerFactory(name="one", tags=["eu"]), factories.ServerFactory(name="two", tags=["eu", "web"])
    answer = confirm(administrator_client, everything(), address=url("server", "tag"), tags="web, Shop")
    assert answer["Location"] == LIST
    for server in (one, two):
        assert {tag.name for tag in server.tags.all()} == {"eu", "web", "shop"}
    assert AuditEntry.objects.filter(verb="tagged", detail={"added": ["shop", "web"]}).count() == 2
    confirm(administrator_client, ticked(two), address=url("server", "untag"), tags="eu shop nobody")
    assert {tag.name for tag in two.tags.all()} == {"web"}
    confirm(administrator_client, ticked(one), address=url("server", "untag"), tags="shop")
    assert not Tag.objects.filter(name="shop").exists()
    assert not Job.objects.exists()


def test_tagging_what_is_tagged_changes_and_audits_nothing(administrator_client):
    server = factories.ServerFactory(tags=["eu"])
    answer = confirm(administrator_client, ticked(server), address=url("server", "tag"), tags="eu")
    assert answer.status_code == 302
    assert not AuditEntry.objects.filter(verb="tagged").exists()


def test_tagging_costs_the_same_for_five_and_for_two_hundred(administrator_client, administrator):
    from servers import inventory

    def cost(count: int) -> int:
        servers = factories.ServerFactory.create_batch(count, tags=["a"])
        with CaptureQueriesContext(connection) as queries:
            assert inventory.tag(servers, ["b", "c"], by=administrator) == count
            assert inventory.untag(servers, ["a", "b"], by=administrator) == count
        return len(queries)

    assert cost(200) <= cost(5) + 8  # SQLite takes so many values a statement
