"""A failure leads to the place where it is mended."""

import pytest
from django.urls import reverse

from gateway.mending import mends
from gateway.providers.replies import AREAS
from tests.factories import GatewayFactory, JobFactory, OwnSmarthostFactory, SmarthostFactory

pytestmark = pytest.mark.django_db


def failed(wanted, area="credentials"):
    gateway = GatewayFactory(wanted=wanted)
    return JobFactory(failed=True, action="gateway.test", server=gateway.server, result={"explanation": {"area": area}})


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


@pytest.mark.parametrize("area", [area for area in AREAS if area != "none"])
def test_every_area_leads_somewhere_for_everybody(area, administrator, customer):
    job = failed(SmarthostFactory(), area=area)
    for viewer in (administrator, customer):
        words, address = mends(viewer, [job])[job.pk]
        assert words and address.startswith("/")


def test_nobody_is_led_to_a_page_he_may_not_open(operator, administrator):
    job = failed(shared := SmarthostFactory(), area="provider")
    assert mends(operator, [job])[job.pk] == ("Open its services", reverse("servers:services", args=[job.server_id]))
    assert mends(administrator, [job])[job.pk] == ("Open the provider", reverse("smarthosts:edit", args=[shared.pk]))


def test_dns_is_read_on_the_page_of_sending_domains(client, customer):
    words, address = mends(customer, [failed(SmarthostFactory(), area="dns")]).popitem()[1]
    client.force_login(customer)
    assert (words, client.get(address).status_code) == ("See what DNS says", 200)


def test_what_nothing_explains_has_no_link(administrator):
    assert mends(administrator, [failed(SmarthostFactory(), area="none"), JobFactory(failed=True)]) == {}


def test_the_page_of_a_job_has_the_link(client, administrator):
    job = failed(shared := SmarthostFactory(), area="sender")
    client.force_login(administrator)
    page = client.get(reverse("jobs:job", args=[job.pk])).content.decode()
    assert f'<a href="{reverse("smarthosts:edit", args=[shared.pk])}">Fix sender</a>' in page


def test_many_cost_as_much_as_one(administrator, django_assert_num_queries):
    jobs = [failed(SmarthostFactory()) for _ in range(5)]
    with django_assert_num_queries(1):
        mends(administrator, jobs)
