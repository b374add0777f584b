"""Asking: one job per server, whoever clicks how often."""

import threading

import pytest
from django.db import connection

from controlpanel.access.models import AuditEntry
from servers import catalog
from servers.jobs import bell, launch, machine
from servers.jobs.models import Batch, Job, Status
from tests.factories import JobFactory, OperatorFactory, ServerFactory

pytestmark = pytest.mark.usefixtures("toys", "rings")


@pytest.mark.django_db
def test_asking_writes_batch_job_and_audit_together():
    person, server = OperatorFactory(), ServerFactory()
    batch = launch.launch("toy.set", [server], by=person, options={"text": "hi"})
    job = batch.jobs.get()
    assert (job.server, job.status, job.mutating, job.action) == (server, Status.QUEUED, True, "toy.set")
    assert (batch.asked_by, batch.options) == (person, {"text": "hi"})
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.subject_name) == (person, "asked for “Write the note”", server.name)
    assert entry.detail == {"batch": batch.pk, "options": {"text": "hi"}}
    assert ("options", "text: hi") in entry.pairs()


@pytest.mark.django_db
def test_an_option_never_passes_for_a_part_of_the_audit_entry():
    person, server = OperatorFactory(), ServerFactory()
    options = {"by": "somebody else", "subject": "another", "verb": "deleted", "batch": 0, "changed": "nothing"}
    batch = launch.launch("toy.set", [server], by=person, options=options)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.subject_name) == (person, "asked for “Write the note”", server.name)
    assert entry.detail == {"batch": batch.pk, "options": options}
    assert dict(entry.pairs())["batch"] == str(batch.pk)


@pytest.mark.django_db
def test_an_action_nobody_offers_is_refused():
    with pytest.raises(catalog.UnknownAction):
        launch.launch("toy.dance", [ServerFactory()], by=None)
    assert not Batch.objects.exists()


@pytest.mark.django_db
def test_an_archived_server_is_refused():
    with pytest.raises(launch.Archived):
        launch.launch("toy.set", [ServerFactory(archived=True)], by=None)
    assert not Batch.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["queued", "running", "lost-contact"])
def test_a_second_click_is_told_about_the_first_job(status):
    first = JobFactory(status=status)
    with pytest.raises(launch.Busy) as busy:
        launch.launch("toy.set", [first.server], by=None)
    assert busy.value.job == first
    assert Job.objects.count() == 1
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_looking_and_previewing_take_no_slot():
    first = JobFactory(running=True)
    launch.launch("toy.look", [first.server], by=None)
    launch.launch("toy.set", [first.server], by=None, options={"dry_run": True})
    assert Job.objects.filter(mutating=False, status=Status.QUEUED).count() == 2


@pytest.mark.django_db
def test_of_many_servers_the_busy_ones_are_skipped_and_counted():
    busy = JobFactory(running=True)
    free = ServerFactory()
    batch = launch.launch("toy.set", [busy.server, free], by=None)
    outcomes = {job.server: (job.status, job.cause) for job in batch.jobs.all()}
    assert outcomes == {busy.server: ("cancelled", "busy"), free: ("queued", "")}
    assert list(batch.jobs.unsuccessful().values_list("server", flat=True)) == [busy.server_id]


@pytest.mark.django_db
def test_asking_twice_for_one_server_in_one_batch_makes_one_job():
    server = ServerFactory()
    assert launch.launch("toy.set", [server, server], by=None).jobs.count() == 1


@pytest.mark.django_db
def test_retry_asks_the_same_again_and_remembers_the_first():
    job = JobFactory(failed=True, batch__options={"text": "x"})
    again = launch.retry([job], by=None).jobs.get()
    assert (again.retry_of, again.batch.options, again.action) == (job, {"text": "x"}, job.action)
    with pytest.raises(launch.StillLive):
        launch.retry([again], by=None)


@pytest.mark.django_db
def test_cancelling_a_queued_job_ends_it_at_once():
    job, person = JobFactory(), OperatorFactory()
    assert launch.cancel(job, by=person)
    job.refresh_from_db()
    assert (job.status, job.cancel_asked_by, job.changed) == (Status.CANCELLED, person, False)
    assert machine.claim(job.pk) is None
    assert not launch.cancel(job, by=person)
    assert AuditEntry.objects.count() == 1


@pytest.mark.django_db
def test_cancelling_a_running_job_is_a_request():
    job, person = JobFactory(running=True), OperatorFactory()
    assert launch.cancel(job, by=person)
    job.refresh_from_db()
    assert (job.status, job.cancel_asked_by) == (Status.RUNNING, person)
    assert not launch.cancel(job, by=person)


@pytest.mark.django_db
def test_five_hundred_servers_cost_a_handful_of_statements(django_assert_max_num_queries):
    ServerFactory.create_batch(500, ssh_key=None)
    servers = list(Batch._meta.apps.get_model("servers", "Server").objects.all())
    with django_assert_max_num_queries(500 + 30):  # one audit entry each; SQLite splits the INSERT by its variables
        batch = launch.launch("toy.set", servers, by=OperatorFactory())
    assert batch.jobs.count() == 500


@pytest.mark.django_db(transaction=True)
def test_the_broker_is_told_after_the_commit_and_never_before(rings):
    server = ServerFactory()
    from django.db import transaction

    with transaction.atomic():
        job = launch.launch("toy.set", [server], by=None).jobs.get()
        bell._outbox.join()
        assert rings == []
    bell._outbox.join()
    assert rings == [job.pk]


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_delays_nobody(monkeypatch):
    from controlpanel.celery import app

    called = threading.Event()

    def refuse(*args, **options):
        called.set()
        raise ConnectionError("no broker")

    monkeypatch.setattr(app, "send_task", refuse)
    job = launch.launch("toy.set", [ServerFactory()], by=None).jobs.get()
    assert job.status == Status.QUEUED
    assert called.wait(5)
    bell._outbox.join()


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_make_one_job():
    """A hundred races on a file database; check-then-insert loses nearly all of them."""
    server, outcomes = ServerFactory(), []
    for _ in range(100):
        start = threading.Barrier(2)

        def click(start=start):
            start.wait()
            try:
                launch.launch("toy.set", [server], by=None)
                outcomes.append("made")
            except launch.Busy:
                outcomes.append("busy")
            finally:
                connection.close()

        clicks = [threading.Thread(target=click) for _ in range(2)]
        for thread in clicks:
            thread.start()
        for thread in clicks:
            thread.join()
        assert Job.objects.live().filter(server=server).count() == 1
        Job.objects.live().update(status=Status.SUCCEEDED)
    assert sorted(outcomes) == ["busy"] * 100 + ["made"] * 100
