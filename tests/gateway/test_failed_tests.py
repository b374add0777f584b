"""Too many failed test emails within an hour, whose number is whose, and what is a provider's outage instead."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway import alarms, failed_tests
from gateway.models import Gateway, TestEmail
from servers.alerts import delivering
from servers.alerts.models import Alert, Delivery, Limits
from tests import factories

pytestmark = pytest.mark.django_db
REFUSED = "connect to smtp.provider.test[192.0.2.1]:587: Connection refused"


def failed(count, *, server=None, minutes=1, delivery="bounced", **more):
    server = server or factories.ServerFactory()
    for _ in range(count):
        at = timezone.now() - timedelta(minutes=minutes)
        TestEmail.objects.create(server=server, at=at, delivery=delivery, **more)


def put_off(count, account, *, reply=REFUSED):
    """One test email each on so many servers of the provider, which took none of them."""
    for _ in range(count):
        server = factories.GatewayFactory(applied=account, wanted=account).server
        failed(1, server=server, delivery="deferred", smarthost=account, reply=reply)


def opened() -> dict:
    failed_tests.count(timezone.now())
    return {alert.text: alert.troubles.open().count() for alert in Alert.objects.open()}


def test_more_than_the_limit_within_an_hour():
    failed(5)
    failed(1, minutes=90)
    assert opened() == {}
    failed(1, delivery="deferred")
    assert opened() == {"More than 5 test emails failed within an hour": 1}
    failed_tests.count(timezone.now() + timedelta(hours=2))
    assert not Alert.objects.open().exists()


def test_a_route_with_a_number_of_its_own_hears_from_it_on_and_the_others_from_the_general_one():
    routes = {number: factories.RouteFactory(failed_tests=number) for number in (None, 2, 9)}
    failed(3)
    assert opened() == {"More than 2 test emails failed within an hour": 1}

    def hearing():
        Alert.objects.update(opened_at=timezone.now() - timedelta(minutes=2))
        delivering.tell()
        return {row.route.failed_tests for row in Delivery.objects.select_related("route")}

    assert hearing() == {2}
    failed(3)
    assert "More than 5 test emails failed within an hour" in opened()
    assert hearing() == {None, 2}
    routes[9].delete()
    routes[2].failed_tests = None
    routes[2].save()
    assert opened() == {"More than 5 test emails failed within an hour": 1}


def test_a_changed_limit_ends_the_alert_of_the_old_one():
    Limits(pk=1, failed_tests=1).save()
    failed(2)
    assert opened() == {"More than 1 test email failed within an hour": 1}
    Limits(pk=1, failed_tests=3).save()
    assert opened() == {}


def test_test_emails_that_wait_for_a_provider_are_its_outage_and_no_alert_of_their_own():
    account = factories.SmarthostFactory(name="Main")
    put_off(6, account)
    assert opened() == {"Mail that goes through Main waits": 6}
    failed(6)
    assert opened() == {
        "Mail that goes through Main waits": 6,
        "More than 5 test emails failed within an hour": 1,
    }


def test_what_a_look_saw_afterwards_is_believed():
    account = factories.SmarthostFactory(name="Main")
    put_off(6, account)
    opened()
    for gateway in Gateway.objects.select_related("server"):
        alarms.around(gateway.server, [])
    Gateway.objects.update(seen_at=timezone.now())
    assert opened() == {}


def test_mail_that_one_recipient_puts_off_is_no_outage():
    put_off(6, factories.SmarthostFactory(name="Main"), reply="452 4.2.2 <a@example.net>: Mailbox full")
    assert opened() == {"More than 5 test emails failed within an hour": 1}


def test_counting_an_outage_again_costs_the_same_for_many(django_assert_max_num_queries):
    account = factories.SmarthostFactory(name="Main")
    put_off(20, account)
    opened()
    with django_assert_max_num_queries(7):
        failed_tests.count(timezone.now())
