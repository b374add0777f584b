"""An outage of the provider of several real servers, from the first mail that waits to the last that is through: every
route hears of it once, and once that it is over."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from gateway import drift, gateways
from gateway import tasks as gateway_tasks
from gateway.models import Gateway
from servers.alerts import tasks
from servers.alerts.models import Alert, Delivery, Limits, Route, Trouble
from servers.remote.secret import Secret
from tests import factories
from tests.gateway.test_main_job import CANARY, LOGIN, enrol, run, send, told
from tests.gateway.test_main_job import account as account  # the fixture

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def relayed(servers, account, administrator):
    """[(the real server, its row)], each with an installed gateway of the shared provider "Main"."""
    main = factories.SmarthostFactory(
        name="Main", host=account.host, username=LOGIN, password=Secret(CANARY), sending_domain="example.org"
    )
    pairs = [(real, enrol(real)) for real in servers]
    gateways.want({row: main for _, row in pairs}, by=administrator)
    with ThreadPoolExecutor(len(pairs)) as pool:
        jobs = list(pool.map(lambda pair: _install(pair[1], administrator), pairs))
    assert {job.status for job in jobs} == {"succeeded"}, [told(job) for job in jobs]
    return pairs


def _install(row, by):
    try:
        return run("install", row, by)
    finally:
        connections.close_all()


def look():
    Gateway.objects.update(look_due_at=timezone.now())
    gateway_tasks.look()


def timetable():
    """What the scheduler rings for, for every server and with the minute gone that alerts wait for company."""
    look()
    gateway_tasks.count_tests()
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        tasks.tell()


def test_an_outage_is_told_once_and_once_that_it_is_over(
    relayed, account, bad_provider, panel_side, receiver, administrator, monkeypatch
):
    monkeypatch.setattr(drift, "TRIED_TWICE", 0)  # the five minutes until Postfix's second try
    Limits(pk=1, failed_tests=2).save()
    main = Gateway.objects.first().applied
    backup = factories.SmarthostFactory(name="Backup", host=bad_provider.host("loses"), tls="starttls")
    factories.RouteFactory(name="Hook", address=receiver.url, allow_local=True)
    mail = {"provider": main.pk, "fallback": backup.pk, "recipients": "ops@example.net", "sender": "alerts@example.org"}
    factories.RouteFactory(name="Mail", way=Route.Way.EMAIL, address="", secret=None, **mail)

    def heard() -> tuple[list[str], int, int]:
        """(what the webhook was told, alerts that came through the backup provider, through the main one)."""
        through_main = [mail for mail in account.messages() if str(mail["Subject"]).startswith("[Fleetpost]")]
        events = [json.loads(body)["event"] for _, _, body in receiver.requests]
        return events, len(bad_provider.seen("loses", "message")), len(through_main)

    for _, row in relayed:
        assert (sent := send(row, administrator)).status == "succeeded", told(sent)
    timetable()
    assert heard() == ([], 0, 0)

    def outage(title: str, begin: Callable[[], object], end: Callable[[], object], before: int) -> None:
        """before: outages until now."""
        arrived = len(account.messages())
        begin()
        for _, row in relayed:
            failed = send(row, administrator)
            assert failed.result["delivery"] == "deferred", told(failed)
        look()
        assert Trouble.objects.open().count() == len(relayed), "a look sees it, whoever sent the mail that waits"
        for _ in range(2):
            timetable()
        assert heard() == (["opened", "closed"] * before + ["opened"], before + 1, before)
        opened = json.loads(receiver.requests[-1][2])
        assert (opened["title"], set(opened["servers"])) == (title, {row.name for _, row in relayed})
        assert "Main: " in Delivery.objects.filter(route__name="Mail").first().answer, "the broken one was tried first"
        end()
        for real, _ in relayed:
            real.run(["postqueue", "-f"])  # the next try, brought forward
        account.wait_for_messages(arrived + len(relayed))
        for _ in range(2):
            timetable()
        assert heard() == (["opened", "closed"] * (before + 1), before + 1, before + 1)

    outage("Mail that goes through Main waits: 3 servers", account.stop_mail, account.start_mail, 0)
    outage(
        "Main rejects the sign-in: 3 servers",
        lambda: account.add_user(LOGIN, "another one", ["@example.org"]),
        lambda: account.add_user(LOGIN, CANARY, ["@example.org"]),
        1,
    )
    assert Alert.objects.count() == 2 and not Alert.objects.open().exists()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
