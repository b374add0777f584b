"""A failure leads to the place where it is mended."""

import pytest
from django.urls import reverse

from gateway.mending import mends
from tests.factories import GatewayFactory, JobFactory, OwnSmarthostFactory, SmarthostFactory

pytestmark = pytest.mark.django_db


def failed(wanted, area="credentials"):
    gateway = GatewayFactory(wanted=wanted)
    return JobFactory(failed=True, server=gateway.server, result={"explanation": {"area": area}})


def test_whoever_may_change_the_provider_is_led_to_its_page(administrator, operator):
    job = failed(shared := SmarthostFactory())
    assert mends(administrator, [job]) == {
        job.pk: ("Fix credentials", reverse("smarthosts:edit", args=[shared.pk])),
    }
    assert mends(operator, [job])[job.pk][1] == reverse("servers:services", args=[job.server_id])


def test_values_of_one_server_are_mended_in_its_own_form(administrator):
    job = failed(OwnSmarthostFactory(), area="port")
    assert mends(administrator, [job])[job.pk] == (
        "Fix server and port",
        reverse("servers:services", args=[job.server_id]),
    )


def test_what_no_page_of_the_panel_mends_has_no_link(administrator):
    assert mends(administrator, [failed(SmarthostFactory(), area="recipient"), JobFactory(failed=True)]) == {}


def test_many_cost_as_much_as_one(administrator, django_assert_num_queries):
    jobs = [failed(SmarthostFactory()) for _ in range(5)]
    with django_assert_num_queries(1):
        mends(administrator, jobs)
