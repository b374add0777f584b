"""Alerts begin and end once, whoever asks and however often."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from servers import trust
from servers.alerts import hostkeys, kinds, raising
from servers.alerts.models import Alert, Trouble
from servers.models import HostKey
from servers.remote import keypair
from servers.remote.host import PinnedKey
from tests import factories

pytestmark = pytest.mark.django_db


def fail(server, *, cause="auth-failed", text="Main refuses the password.", provider="Main"):
    raising.raise_alert("gateway-failing", server.pk, server=server, cause=cause, text=text, provider=provider)


def test_three_hundred_servers_of_one_cause_are_one_alert():
    servers = factories.ServerFactory.create_batch(30)
    for server in servers:
        fail(server)
    alert = Alert.objects.get()
    assert alert.troubles.open().count() == 30
    for server in servers[:-1]:
        raising.recovered("gateway-failing", server.pk)
    assert Alert.objects.open().exists()
    raising.recovered("gateway-failing", servers[-1].pk)
    assert not Alert.objects.open().exists()


def test_raising_again_leaves_no_trace(django_assert_num_queries):
    server = factories.ServerFactory()
    fail(server)
    with django_assert_num_queries(1):
        fail(server)
    assert Trouble.objects.count() == 1


def test_recovering_what_was_never_raised_is_one_reading(django_assert_num_queries):
    with django_assert_num_queries(1):
        raising.recovered("gateway-failing", "nobody")


def test_another_cause_moves_the_server_to_another_alert():
    one, two = factories.ServerFactory.create_batch(2)
    fail(one)
    fail(two)
    fail(one, cause="tls-expired", text="The certificate of Main has expired.")
    assert {a.cause: a.troubles.open().count() for a in Alert.objects.open()} == {"auth-failed": 1, "tls-expired": 1}
    fail(two, cause="tls-expired", text="The certificate of Main has expired.")
    assert [a.cause for a in Alert.objects.open()] == ["tls-expired"]


def test_two_providers_are_two_alerts():
    one, two = factories.ServerFactory.create_batch(2)
    fail(one)
    fail(two, provider="Other", text="Other refuses the password.")
    assert Alert.objects.open().count() == 2


def test_it_opens_anew_after_it_closed():
    server = factories.ServerFactory()
    for _ in range(2):
        fail(server)
        raising.recovered("gateway-failing", server.pk)
    assert Alert.objects.count() == 2
    assert not Alert.objects.open().exists()


def test_an_archived_or_deleted_server_ends_its_alert():
    from django.utils import timezone

    one, two = factories.ServerFactory.create_batch(2)
    fail(one)
    fail(two, cause="dns")
    one.archived_at = timezone.now()
    one.save()
    two.delete()
    raising.tidy()
    assert not Alert.objects.open().exists()


def blocked(server):
    """The server shows another key than the accepted one, as a look or a job would see it."""
    factories.HostKeyFactory(server=server, state=HostKey.State.PINNED)
    _, public = keypair.generate()
    kind, body = public.split()[:2]
    trust.offer_host_keys(server, [PinnedKey(kind, body)])
    return keypair.fingerprint(body)


def test_a_changed_host_key_is_serious_and_ends_when_a_person_accepts_or_refuses(administrator):
    one, two = factories.ServerFactory.create_batch(2)
    shown = [blocked(server) for server in (one, two)]
    for _ in range(2):
        hostkeys.watch()
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity, alert.troubles.open().count()) == ("host-key-changed", kinds.SERIOUS, 2)
    trust.pin_host_key(one, shown[0], by=administrator)
    hostkeys.watch()
    assert list(alert.troubles.open().values_list("server", flat=True)) == [two.pk]
    trust.refuse_host_key(two, by=administrator)
    hostkeys.watch()
    assert not Alert.objects.open().exists()


def test_a_changed_host_key_is_told_for_as_long_as_the_server_is_blocked():
    """The old key alone releases nothing: whoever stood in between may come back."""
    server = factories.ServerFactory()
    blocked(server)
    hostkeys.watch()
    pin = trust.pinned(server)
    trust.offer_host_keys(server, [PinnedKey(pin.kind, pin.body)])
    hostkeys.watch()
    assert Alert.objects.open().get().kind == "host-key-changed"
    server.refresh_from_db()
    assert server.reach == "key-changed"


def test_watching_host_keys_costs_two_readings(django_assert_num_queries):
    blocked(factories.ServerFactory())
    hostkeys.watch()
    with django_assert_num_queries(2):
        hostkeys.watch()


@pytest.mark.django_db(transaction=True)
def test_races_make_one_alert_and_one_trouble_a_server():
    servers = factories.ServerFactory.create_batch(4)
    start = threading.Barrier(8)

    def work(server):
        start.wait()
        try:
            for _ in range(5):
                fail(server)
                raising.recovered("gateway-failing", server.pk)
                fail(server)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, servers * 2))
    alert = Alert.objects.open().get()
    assert alert.troubles.open().count() == 4
    for server in servers:
        raising.recovered("gateway-failing", server.pk)
    assert not Alert.objects.open().exists() and not Trouble.objects.open().exists()
