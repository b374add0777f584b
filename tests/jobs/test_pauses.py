"""A pause lets what runs end, and nothing begin."""

import threading

import pytest
from django.db import connection

from controlpanel.access.models import AuditEntry
from servers.jobs import bell, launch, machine, pauses, sweeper
from servers.jobs.models import Pause, Status
from tests.factories import JobFactory, OperatorFactory, ServerFactory

pytestmark = pytest.mark.usefixtures("toys")


@pytest.mark.django_db
def test_nothing_begins_during_a_pause_and_what_runs_goes_on(rings):
    running, waiting = machine.claim(JobFactory().pk), JobFactory(rung_at=None)
    person = OperatorFactory()
    pause = pauses.pause(by=person, reason="Provider outage")
    assert (pauses.current(), pause.by, pause.reason) == (pause, person, "Provider outage")
    assert machine.take() is None
    assert machine.claim(waiting.pk) is None
    sweeper.sweep()
    bell._outbox.join()
    assert rings == [], "nobody is called for what may not begin"
    assert machine.hold(running)
    assert machine.finish(running, "succeed", outcome="Done.")


@pytest.mark.django_db
def test_what_is_asked_during_a_pause_waits_checks_included(rings):
    pauses.pause(by=None)
    job = launch.launch("server.check", [ServerFactory()], by=None).jobs.get()
    assert machine.claim(job.pk) is None
    assert job.status == Status.QUEUED


@pytest.mark.django_db
def test_a_lost_server_is_looked_at_during_a_pause(rings):
    lost = JobFactory(lost=True, due_at=None)
    machine.look_again(lost.server)
    pauses.pause(by=None)
    sweeper.sweep()
    bell._outbox.join()
    assert rings == [lost.pk]
    assert machine.claim(lost.pk)


@pytest.mark.django_db(transaction=True)
def test_resuming_calls_the_workers_at_once(rings):
    waiting, held = JobFactory(), JobFactory(released_at=None)
    pauses.pause(by=None)
    assert pauses.resume(by=None)
    bell._outbox.join()
    assert rings == [waiting.pk]
    assert held.pk not in rings
    assert not pauses.resume(by=None)
    assert pauses.current() is None


@pytest.mark.django_db
def test_pausing_and_resuming_are_in_the_audit_log_once_each(rings):
    person = OperatorFactory()
    for _ in range(2):
        pauses.pause(by=person, reason="Night")
    for _ in range(2):
        pauses.resume(by=person)
    entries = AuditEntry.objects.order_by("pk").values_list("actor_name", "verb", "subject_name", "detail")
    assert list(entries) == [
        (str(person), "paused new jobs", "Fleetpost", {"reason": "Night"}),
        (str(person), "resumed jobs", "Fleetpost", {}),
    ]


@pytest.mark.django_db(transaction=True)
def test_two_clicks_make_one_pause(rings):
    for _ in range(20):
        start = threading.Barrier(2)

        def click(start=start):
            start.wait()
            try:
                pauses.pause(by=None)
            finally:
                connection.close()

        clicks = [threading.Thread(target=click) for _ in range(2)]
        for thread in clicks:
            thread.start()
        for thread in clicks:
            thread.join()
        assert Pause.objects.count() == 1
        pauses.resume(by=None)
    assert AuditEntry.objects.filter(verb="paused new jobs").count() == 20
