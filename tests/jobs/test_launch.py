"""Asking: one job per server, whoever clicks how often."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from servers import catalog
from servers.jobs import bell, launch, machine, rollout
from servers.jobs.models import Batch, Job, Status
from servers.jobs.rollout import Policy
from servers.models import Server
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


def fleet(count: int) -> list:
    """Ids of so many new servers."""
    rows = [Server(name=f"bulk-{number:04}", address="192.0.2.1") for number in range(count)]
    return [server.pk for server in Server.objects.bulk_create(rows)]


@pytest.mark.django_db
@pytest.mark.parametrize("policy", [Policy(), Policy(canary=2, portion=25, concurrency=20)])
def test_five_hundred_servers_cost_a_handful_of_statements(django_assert_max_num_queries, policy):
    fleet(500)
    person = OperatorFactory()
    # SQLite splits an INSERT by its number of variables: 15 for the jobs, 4 for the audit
    with django_assert_max_num_queries(40):
        batch = launch.launch("toy.set", Server.objects.live(), by=person, policy=policy)
    assert batch.jobs.count() == 500
    assert AuditEntry.objects.filter(verb="asked for “Write the note”", detail__batch=batch.pk).count() == 500


@pytest.mark.django_db
def test_five_hundred_are_cancelled_and_retried_in_a_handful_of_statements(django_assert_max_num_queries):
    person = OperatorFactory()
    first = launch.launch("toy.set", fleet(500), by=person, options={"text": "x"}, policy=Policy(canary=1))
    with django_assert_max_num_queries(12):
        assert launch.cancel_queued(first, by=person) == 500
    entry = AuditEntry.objects.get(verb="cancelled “Write the note”")
    assert (entry.subject_kind, entry.subject_id, entry.detail) == ("batch", str(first.pk), {"jobs": 500})
    with django_assert_max_num_queries(40):
        again = launch.retry(first.jobs.unsuccessful(), by=person)
    assert (again.paced, again.options) == (False, {"text": "x"})
    assert again.jobs.filter(retry_of__batch=first, released_at__isnull=False, rank=1).count() == 500


@pytest.mark.django_db
def test_rows_ids_and_querysets_ask_for_the_same_and_in_order_of_name():
    b, a = ServerFactory(name="b"), ServerFactory(name="A")
    for servers in ([b, a], [b.pk, a.pk], [b.pk, a], Server.objects.order_by("-pk")):
        batch = launch.launch("toy.look", servers, by=None)
        assert [job.server for job in batch.jobs.order_by("pk")] == [a, b]
    given = launch.launch("toy.look", [b.pk, a], by=None, policy=Policy(order="given"))
    assert [job.server for job in given.jobs.order_by("pk")] == [b, a]


@pytest.mark.django_db
def test_a_random_order_leaves_nobody_out():
    ids = fleet(30)
    batch = launch.launch("toy.look", ids, by=None, policy=Policy(order="random"))
    order = list(batch.jobs.order_by("pk").values_list("server", flat=True))
    assert sorted(order) == sorted(ids)
    assert order != ids, "one in 10^32"


@pytest.mark.django_db
def test_a_server_that_is_gone_by_then_is_left_out():
    server = ServerFactory()
    gone = ServerFactory()
    ids = [server.pk, gone.pk]
    gone.delete()
    assert launch.launch("toy.look", ids, by=None).jobs.get().server == server


@pytest.mark.django_db
def test_one_server_has_its_turn_before_a_batch_and_so_has_the_retry_of_one():
    one, two = ServerFactory(), ServerFactory()
    assert set(launch.launch("toy.look", [one, two], by=None).jobs.values_list("rank", flat=True)) == {1}
    failed = JobFactory(failed=True, rank=1)
    assert launch.retry([failed], by=None).jobs.get().rank == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "row",
    [
        {"status": "failed", "cause": "said-no"},
        {"status": "failed", "cause": "connect-timeout"},
        {"status": "errored", "cause": "panel-error"},
        {"status": "cancelled", "cause": "cancelled"},
        {"status": "cancelled", "cause": "busy"},
        {"status": "cancelled", "cause": "stopped"},
    ],
)
def test_whatever_did_not_succeed_can_be_retried_without_the_old_schedule(row):
    old = JobFactory(**row, batch__canary=1, batch__options={"text": "x"})
    done = JobFactory(succeeded=True, batch=old.batch)
    batch = launch.retry(old.batch.jobs.unsuccessful(), by=None)
    assert (batch.jobs.get().retry_of, batch.canary, batch.options) == (old, 0, {"text": "x"})
    assert not done.retries.exists()
    again = launch.retry([done], by=None, policy=Policy(concurrency=1))
    assert again.concurrency == 1


@pytest.mark.django_db
def test_cancelling_what_waits_leaves_what_runs_and_what_others_see():
    batch = launch.launch("toy.set", fleet(4), by=None)
    running, hidden, *waiting = batch.jobs.order_by("pk")
    machine.claim(running.pk)
    seen = Job.objects.exclude(pk=hidden.pk)
    assert launch.cancel_queued(batch, seen, by=OperatorFactory()) == 2
    assert launch.cancel_queued(batch, seen, by=OperatorFactory()) == 0
    now = dict(batch.jobs.values_list("pk", "status"))
    assert now == {running.pk: "running", hidden.pk: "queued"} | {job.pk: "cancelled" for job in waiting}
    assert AuditEntry.objects.filter(verb__startswith="cancelled").count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_jobs_wake_the_workers_without_a_message_each(rings):
    batch = launch.launch("toy.look", fleet(machine.WAKE + 100), by=None)
    bell._outbox.join()
    assert rings == list(batch.jobs.order_by("pk").values_list("pk", flat=True)[: machine.WAKE])


@pytest.mark.django_db(transaction=True)
def test_two_batches_over_the_same_servers_at_once_share_them_out():
    ids = fleet(60)
    for _ in range(5):
        start, made = threading.Barrier(2), []

        def ask(order, start=start, made=made):
            start.wait()
            try:
                made.append(launch.launch("toy.set", order, by=None, policy=Policy(order="given")).pk)
            except launch.Busy:
                made.append(None)
            finally:
                connection.close()

        asking = [threading.Thread(target=ask, args=(order,)) for order in (ids, ids[::-1])]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert len(made) == 2, "neither was the victim of a deadlock"
        assert Job.objects.live().count() == 60
        Job.objects.all().delete()


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


@pytest.mark.django_db
def test_a_retry_is_let_loose_with_the_care_of_its_batch_but_without_its_times():
    servers = ServerFactory.create_batch(4)
    past = timezone.now() - timedelta(hours=1)
    policy = Policy(canary=1, portion=50, stop_after=2, concurrency=3, starts_at=past)
    batch = launch.launch("toy.set", servers, by=None, policy=policy)
    canary = batch.jobs.get(wave=0)
    job = machine.claim(canary.pk)
    machine.finish(job, "fail", outcome="No.", cause="sign-in")
    rollout.advance(batch.pk)

    again = launch.retry(batch.jobs.all(), by=None)
    assert rollout.policy_of(again) == Policy(canary=1, portion=50, stop_after=2, concurrency=3)
    released = again.jobs.get(released_at__isnull=False)
    assert released.server_id == canary.server_id, "the canary that failed goes first again, and alone"


@pytest.mark.django_db
def test_after_a_canary_that_lived_a_retry_needs_none():
    servers = ServerFactory.create_batch(3)
    batch = launch.launch("toy.set", servers, by=None, policy=Policy(canary=1))
    for ending in ("succeed", "fail", "fail"):
        job = machine.claim(batch.jobs.filter(released_at__isnull=False, status="queued").order_by("pk")[0].pk)
        machine.finish(job, ending, outcome="Done.")
        rollout.advance(batch.pk)
    again = launch.retry(batch.jobs.unsuccessful(), by=None)
    assert rollout.policy_of(again) == Policy()
    assert again.jobs.filter(released_at__isnull=False).count() == 2
