"""Many sending domains at once: how many workers look, and which domain comes first."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from gateway.deliverability import domains
from gateway.deliverability.findings import Report
from gateway.deliverability.models import Domain
from tests.gateway.deliverability.test_domains import GOOD

pytestmark = pytest.mark.django_db


class Looks:
    """Stands at the wire: `look` without a network."""

    def __init__(self):
        self.names = []

    def __call__(self, name, *_, **__):
        self.names.append(name)
        time.sleep(0.01)
        return Report(name, GOOD.findings)


@pytest.fixture
def fleet():
    """Forty domains nobody checked, and what looks at them."""
    Domain.objects.bulk_create([Domain(name=f"d{n}.example", added=True) for n in range(40)])
    return Looks()


def test_many_domains_ring_for_no_more_workers_than_may_check_at_once(fleet, django_capture_on_commit_callbacks):
    rung = []
    with django_capture_on_commit_callbacks(execute=True):
        domains.ask_many(list(Domain.objects.all()), lambda: rung.append(1))
        domains.ask_many(list(Domain.objects.all()), lambda: rung.append(1))
    assert len(rung) == domains.AT_ONCE
    assert Domain.objects.waiting().count() == 40


@pytest.mark.django_db(transaction=True)
def test_however_many_work_each_domain_is_checked_once(fleet):
    def work():
        try:
            return domains.work(fleet)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        counts = [future.result() for future in [pool.submit(work) for _ in range(6)]]
    assert sorted(fleet.names) == sorted(row.name for row in Domain.objects.all())
    assert sum(counts) == 40
    assert not Domain.objects.exclude(state="ok").exists()


def test_while_enough_are_at_work_nobody_else_begins(fleet):
    busy = Domain.objects.values_list("pk", flat=True)[: domains.AT_ONCE]
    Domain.objects.filter(pk__in=list(busy)).update(leased_until=timezone.now() + timedelta(seconds=60))
    assert domains.work(fleet) == 0 and not fleet.names


def test_what_somebody_asked_for_comes_first(fleet):
    Domain.objects.update(checked_at=timezone.now() - timedelta(days=2))
    wanted = Domain.objects.get(name="d39.example")
    Domain.objects.filter(pk=wanted.pk).update(asked_at=timezone.now())
    assert domains.due(timezone.now(), 1) == [wanted.pk]
