"""When looks last got an answer: a number is the list behind it, and a time is on every row that has one."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from controlpanel import glance
from gateway import gateways
from tests.factories import GatewayFactory, ServerFactory

pytestmark = pytest.mark.django_db
LIST = "/servers/?state=unseen"


def seen(ago: timedelta | None, **more):
    return GatewayFactory(working=True, seen_at=timezone.now() - ago if ago is not None else None, **more).server


def test_servers_nobody_saw_for_long_are_counted_and_listed(administrator_client):
    lost, never = seen(timedelta(hours=3)), seen(None)
    fine, bare, absent = seen(timedelta(minutes=4)), ServerFactory(), GatewayFactory().server
    text = administrator_client.get(reverse("dashboard")).content.decode()
    assert "2 not seen for over 1 hour" in text and f'href="{LIST}"' in text
    rows = administrator_client.get(LIST).content.decode()
    assert all(server.name in rows for server in (lost, never))
    assert not any(server.name in rows for server in (fine, bare, absent))


def test_where_every_server_answers_the_last_time_is_told(administrator_client):
    server = seen(timedelta(minutes=4))
    seen(timedelta(minutes=20))
    text = administrator_client.get(reverse("dashboard")).content.decode()
    assert "Last seen" in text and "4 min ago" in text and "not seen for over" not in text
    row = administrator_client.get(f"/servers/?q={server.name}").content.decode()
    assert "seen <time" in row and "4 min ago" in row


@pytest.mark.parametrize(("minutes", "limit"), [(30, "1 hour"), (90, "3 hours"), (5, "1 hour")])
def test_seldom_looks_are_no_fault_of_the_server(settings, administrator, minutes, limit):
    settings.HEALTH_MINUTES = minutes
    seen(gateways.unseen_after() - timedelta(minutes=1))
    found = glance.seen(glance.counts(administrator))
    assert (found["missing"], found["limit"]) == (0, limit)
    seen(gateways.unseen_after() + timedelta(minutes=1))
    assert glance.seen(glance.counts(administrator))["missing"] == 1


def test_without_regular_looks_nobody_is_missing(settings, administrator):
    settings.HEALTH_MINUTES = 0
    seen(timedelta(days=3))
    assert glance.seen(glance.counts(administrator))["missing"] == 0


def test_what_others_servers_do_stays_with_them(customer, customer_client):
    seen(timedelta(hours=3))
    seen(timedelta(minutes=4)).people.add(customer)
    assert "not seen for over" not in customer_client.get(reverse("dashboard")).content.decode()
