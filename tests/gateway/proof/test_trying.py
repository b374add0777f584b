"""The gentle try of an account: against real SMTP servers on loopback, once a minute and account, never hammering."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import F
from django.utils import timezone

from gateway import acceptance, checking, gateways, health, trying, wanted
from gateway.models import Gateway, Smarthost
from servers.alerts.models import Alert
from servers.models import Server
from servers.remote.secret import Secret
from tests.factories import CustomerFactory, GatewayFactory, OperatorFactory, OwnSmarthostFactory, SmarthostFactory
from tests.gateway.proof.localhost import PASSWORD, LocalHost
from tests.gateway.test_drift import INSTALLED
from tests.ports import free_port

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=3)
ACCOUNT = {"host": "localhost", "tls": "starttls", "username": "user@example.com", "sending_domain": "example.com"}


def using(provider, *, password: str = PASSWORD, count: int = 1) -> list[Gateway]:
    row = SmarthostFactory(**ACCOUNT, port=provider.port, password=Secret(password))
    return [ripe(GatewayFactory(working=True, wanted=row)) for _ in range(count)]


def ripe(gateway: Gateway) -> Gateway:
    """Its turn has come, whatever the hour."""
    Gateway.objects.filter(pk=gateway.pk).update(signed_in_at=timezone.now() - LONG_AGO)
    return fresh(gateway)


def fresh(gateway: Gateway) -> Gateway:
    return Gateway.objects.select_related("server", "applied").get(pk=gateway.pk)


def attempt(gateway: Gateway) -> trying.Tried | None:
    gateway = fresh(gateway)
    return trying.attempt(gateway, wanted.relay(gateway.applied, 0), LocalHost())


def look(gateway: Gateway) -> Gateway:
    """What a look records that found the server as it was installed, with a try if it is its turn."""
    tried, row = attempt(gateway), gateway.applied
    judged = checking.Judged("installed", "As it was installed.", row=row, revision=row.revision)
    checking.record(gateway.server, judged, INSTALLED, masked=str, tried=tried)
    return fresh(gateway)


def slugs(gateway: Gateway) -> list[tuple]:
    return [(one["slug"], one["state"]) for one in gateway.problems]


def test_a_right_account_is_tried_once_a_turn_and_the_certificates_end_is_known(provider):
    server = provider(days=60)
    (gateway,) = using(server)
    after = look(gateway)
    assert (after.state, after.problems) == ("working", [])
    assert timedelta(days=59) < after.certificate_until - timezone.now() < timedelta(days=60)
    assert timezone.now() - after.signed_in_at < timedelta(minutes=1)
    assert attempt(after) is None and len(server.logins) == 1


def test_a_certificate_near_its_end_is_told_at_every_look_without_another_try(provider):
    server = provider(days=9)
    (gateway,) = using(server)
    for after in (look(gateway), look(gateway)):
        assert after.state == "working" and slugs(after) == [("certificate", "warn")]
    assert len(server.logins) == 1


def test_values_that_were_saved_anew_and_are_the_same_there_keep_what_the_try_saw(provider):
    server = provider(days=9)
    (gateway,) = using(server)
    Smarthost.objects.update(revision=F("revision") + 1)
    for after in (look(fresh(gateway)), look(fresh(gateway))):
        assert slugs(after) == [("certificate", "warn")] and after.certificate_until
    assert len(server.logins) == 1


def test_one_refusal_is_a_doubt_the_second_turns_the_state_and_a_right_password_heals(provider):
    server = provider()
    (gateway,) = using(server, password="changed")
    once = look(gateway)
    assert (once.state, slugs(once)) == ("working", [("sign-in", "unknown")])
    assert not Alert.objects.open().exists()
    Gateway.objects.update(signed_in_at=timezone.now() - timedelta(minutes=2))
    twice = look(once)
    assert (twice.state, slugs(twice)) == ("broken", [("sign-in", "fail")])
    assert twice.reason == twice.problems[0]["text"] and "password" in twice.problems[0]["hint"].lower()
    Gateway.objects.update(signed_in_at=timezone.now() - timedelta(minutes=30))
    third = look(twice)  # not its turn: what was found stands
    assert (third.state, slugs(third), len(server.logins)) == ("broken", [("sign-in", "fail")], 2)
    assert Alert.objects.open().count() == 1
    gateway.applied.password = Secret(PASSWORD)
    gateway.applied.save()
    Gateway.objects.update(signed_in_at=timezone.now() - timedelta(hours=2))
    healed = look(fresh(third))
    assert (healed.state, healed.problems) == ("working", [])
    assert not Alert.objects.open().exists()


def test_a_certificate_that_ended_is_confirmed_by_a_second_try(provider):
    (gateway,) = using(provider(days=-3))
    once = look(gateway)
    assert (once.state, slugs(once)) == ("working", [("certificate", "unknown")])
    Gateway.objects.update(signed_in_at=timezone.now() - timedelta(minutes=2))
    assert (look(once).state, slugs(look(once))) == ("broken", [("certificate", "fail")])


def test_a_certificate_whose_day_has_come_is_looked_at_at_once(provider):
    server = provider(days=60)
    (gateway,) = using(server)
    now = timezone.now()
    Gateway.objects.update(signed_in_at=now - timedelta(hours=3), certificate_until=now - timedelta(minutes=5))
    after = look(gateway)
    assert after.problems == [] and after.certificate_until > now + timedelta(days=59)
    assert len(server.logins) == 1


def test_a_provider_out_of_reach_says_nothing_of_the_account(provider):
    (gateway,) = using(provider())
    Smarthost.objects.update(port=free_port())
    for _ in range(3):
        after = look(ripe(gateway))
        assert (after.state, slugs(after)) == ("working", [("sign-in", "unknown")])
        assert after.problems[0]["text"].startswith("The provider could not be tried.")


def test_a_miss_keeps_what_was_found(provider):
    (gateway,) = using(provider(), password="changed")
    once = look(gateway)
    gateways.missed(
        once.server, [{"slug": "reach", "state": "unknown", "text": "x", "hint": ""}, *health._lasting(once.server)]
    )
    assert slugs(fresh(once)) == [("reach", "unknown"), ("sign-in", "unknown")]
    assert slugs(look(once)) == [("sign-in", "unknown")]


def test_other_values_in_force_end_what_was_known_of_the_account(provider):
    (gateway,) = using(provider(days=5), password="changed")
    look(gateway)
    other = SmarthostFactory()
    judged = checking.Judged("installed", "As it was.", row=other, revision=other.revision)
    checking.record(gateway.server, judged, INSTALLED, masked=str)
    after = fresh(gateway)
    assert (after.problems, after.certificate_until, after.state) == ([], None, "working")


def test_an_install_acquits(provider):
    (gateway,) = using(provider(), password="changed")
    once = look(gateway)
    seen = gateways.Seen(generation="g", queued=0, os_name="", postfix="3", log_source="journal")
    gateways.proved(once.server, once.applied, once.applied.revision, seen, share=0)
    assert look(once).problems == []


def test_servers_of_one_account_wait_for_each_others_minute(provider):
    server = provider()
    first, second = using(server, count=2)
    other = ripe(
        GatewayFactory(
            working=True, wanted=SmarthostFactory(**ACCOUNT | {"username": "b@example.com"}, port=server.port)
        )
    )
    assert attempt(first) and attempt(second) is None
    assert attempt(other), "another account has a minute of its own"
    Gateway.objects.filter(pk=first.pk).update(signed_in_at=timezone.now() - timedelta(seconds=61))
    assert attempt(second)


def test_own_values_with_the_same_sign_in_are_the_same_account(provider):
    server = provider()
    (first,) = using(server)
    own = OwnSmarthostFactory(**ACCOUNT, port=server.port, password=Secret(PASSWORD))
    second = ripe(GatewayFactory(server=own.server, working=True, wanted=own))
    assert attempt(first) and attempt(second) is None


def test_a_refused_account_is_tried_from_one_server_alone(provider):
    server = provider()
    first, second, third = using(server, password="changed", count=3)
    look(first)
    Gateway.objects.filter(pk=first.pk).update(signed_in_at=timezone.now() - timedelta(minutes=5))
    assert [one["text"] for one in look(second).problems] == [acceptance.ELSEWHERE]
    assert len(server.logins) == 1
    assert slugs(look(first)) == [("sign-in", "fail")]
    Gateway.objects.filter(pk=first.pk).update(signed_in_at=timezone.now() - timedelta(hours=4))
    assert slugs(look(third)) == [("sign-in", "unknown")] and len(server.logins) == 3, "the first had its chance"
    Gateway.objects.filter(pk=third.pk).update(signed_in_at=timezone.now() - timedelta(minutes=5))
    assert attempt(third) is None, "the one that was refused oftener speaks for the account"


@pytest.mark.parametrize(("who", "contacted"), [(CustomerFactory, False), (OperatorFactory, True)])
def test_values_a_customer_may_have_typed_open_no_way_into_the_servers_network(provider, who, contacted):
    server = provider()
    own = OwnSmarthostFactory(**ACCOUNT, port=server.port, password=Secret(PASSWORD))
    own.server.people.add(who())
    after = look(ripe(GatewayFactory(server=own.server, working=True, wanted=own)))
    assert bool(server.logins) == contacted
    assert slugs(after) == ([] if contacted else [("sign-in", "unknown")])


def test_nobody_is_tried_when_it_is_switched_off(provider, settings):
    settings.SIGN_IN_HOURS = 0
    (gateway,) = using(server := provider())
    assert attempt(gateway) is None and server.logins == []


@pytest.mark.django_db(transaction=True)
def test_many_workers_make_one_sign_in(provider):
    server = provider()
    rows = using(server, count=8)

    def one(gateway: Gateway) -> bool:
        try:
            return attempt(gateway) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, rows)) == 1
    assert len(server.logins) == 1


def test_a_check_says_that_the_provider_refuses(provider):
    (gateway,) = using(provider(), password="changed")
    look(gateway)
    Gateway.objects.update(signed_in_at=timezone.now() - timedelta(minutes=2))
    judged = checking.Judged("installed", "As it was.", row=gateway.applied, revision=gateway.applied.revision)
    look(gateway)
    refused = checking.record(gateway.server, judged, replace(INSTALLED, queued=0), masked=str)
    assert refused["slug"] == "sign-in" and Server.objects.get().gateway.state == "broken"
