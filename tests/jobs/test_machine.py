"""Every status × every move, and who may make it."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from servers.jobs import machine
from servers.jobs.models import Job, JobStep, Pause, Status
from tests.factories import JobFactory, JobStepFactory, OperatorFactory

# What the diagram of the design allows, written down a second time: {move: {from: to}}.
DIAGRAM = {
    "claim": {"queued": "running", "lost-contact": "running"},
    "succeed": {"running": "succeeded"},
    "fail": {"running": "failed"},
    "error": {"running": "errored"},
    "stop": {"running": "cancelled"},
    "lose": {"running": "lost-contact"},
    "withdraw": {"queued": "cancelled", "lost-contact": "cancelled"},
    "give-up": {"lost-contact": "errored"},
}


def attempt(move: str, job: Job):
    if move == "claim":
        return machine.claim(job.pk)
    if move == "lose":
        return machine.lose_contact(job, outcome="The line is silent.")
    if move == "withdraw":
        return machine.withdraw(job, outcome="Cancelled.")
    if move == "give-up":
        return machine.give_up(job, outcome="It never came back.", cause="lost-contact", hint="")
    return machine.finish(job, move, outcome="It ended.")


@pytest.mark.django_db
@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("move", machine.MOVES)
def test_a_job_moves_only_along_the_diagram(status, move):
    job = JobFactory(status=status, fence=3)
    made = attempt(move, job)
    job.refresh_from_db()
    assert bool(made) == (status in DIAGRAM[move])
    assert job.status == DIAGRAM[move].get(status, status)


def test_the_table_of_moves_is_the_diagram():
    table = {
        move: {source.value: target.value for source in sources} for move, (sources, target) in machine.MOVES.items()
    }
    assert table == DIAGRAM


@pytest.mark.django_db
@pytest.mark.parametrize("move", ["succeed", "fail", "error", "stop", "lose"])
def test_an_older_fence_moves_nothing(move):
    job = JobFactory(running=True, fence=1)
    Job.objects.filter(pk=job.pk).update(fence=2)
    assert not attempt(move, job)
    assert not machine.hold(job, journal_offset=99)
    job.refresh_from_db()
    assert (job.status, job.journal_offset) == (Status.RUNNING, 0)


@pytest.mark.django_db
def test_every_claim_raises_the_fence_and_keeps_the_first_start():
    job = JobFactory()
    with time_machine.travel("2026-01-01T10:00:00Z", tick=False):
        first = machine.claim(job.pk)
        assert machine.claim(job.pk) is None
        assert machine.lose_contact(first, outcome="Silence.")
    with time_machine.travel("2026-01-01T10:01:00Z", tick=False):
        second = machine.claim(job.pk)
    assert (first.fence, second.fence) == (1, 2)
    assert second.started_at == first.started_at
    assert (second.outcome, second.cause, second.due_at) == ("", "", None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ending", "left_open"), [("fail", "failed"), ("error", "failed"), ("stop", "skipped"), ("succeed", "skipped")]
)
def test_an_ended_job_has_no_open_step(ending, left_open):
    job = JobFactory(running=True)
    done = JobStepFactory(job=job, state=JobStep.State.CHANGED)
    step = JobStepFactory(job=job)
    machine.finish(job, ending, outcome="It ended.")
    step.refresh_from_db()
    done.refresh_from_db()
    assert (step.state, done.state) == (left_open, "changed")
    assert step.finished_at is not None


@pytest.mark.django_db
def test_looks_at_a_lost_server_grow_apart_up_to_five_minutes():
    job, pauses = JobFactory(), []
    for _ in range(9):
        claimed = machine.claim(job.pk)
        with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
            machine.lose_contact(claimed, outcome="Silence.")
            job.refresh_from_db()
            pauses.append((job.due_at - timezone.now()).total_seconds())
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.django_db
def test_a_lost_job_that_handed_something_over_is_not_withdrawn():
    job = JobFactory(lost=True, submitted_at=timezone.now())
    assert not machine.withdraw(job, outcome="Cancelled.")
    assert machine.ask_to_cancel(job, by=OperatorFactory())
    job.refresh_from_db()
    assert job.status == Status.LOST_CONTACT
    assert job.due_at <= timezone.now(), "it is looked at once more, at once"


@pytest.mark.django_db
def test_giving_up_shuts_out_a_worker_that_still_sleeps_over_the_job():
    sleeper = machine.claim(JobFactory().pk)
    machine.expire(timezone.now() + timedelta(minutes=1))
    lost = Job.objects.get(pk=sleeper.pk)
    assert machine.give_up(lost, outcome="It never came back.", cause="lost-contact", hint="")
    assert not machine.finish(sleeper, "succeed", outcome="Done.")
    lost.refresh_from_db()
    assert lost.status == Status.ERRORED


@pytest.mark.django_db
def test_the_one_whose_turn_it_is_begins_a_single_server_before_a_batch():
    bulk = [JobFactory(rank=1) for _ in range(2)]
    single = JobFactory(rank=0)
    taken = [machine.take() for _ in range(4)]
    assert [job and job.pk for job in taken] == [single.pk, bulk[0].pk, bulk[1].pk, None]
    assert {job.status for job in taken[:3]} == {Status.RUNNING}


@pytest.mark.django_db
def test_a_server_that_may_be_half_changed_is_looked_at_before_another_job_begins():
    """A worker that is busy with a batch for an hour takes up what another one was killed over."""
    waiting, now = JobFactory(), timezone.now()
    JobFactory(lost=True, due_at=now + timedelta(minutes=5))
    later = JobFactory(lost=True, due_at=now - timedelta(seconds=1), rank=1)
    first = JobFactory(lost=True, due_at=now - timedelta(seconds=9), submitted_at=now, rank=1)
    assert [machine.take() for _ in range(4)] == [first, later, waiting, None]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "row",
    [
        {"fence": machine.WORKERS_LOST},
        {"cancel_asked_at": timezone.now()},
        {"submitted_at": timezone.now(), "lost_at": timezone.now() - timedelta(hours=7)},
    ],
)
def test_what_the_sweeper_is_to_end_is_not_taken_once_more(row):
    JobFactory(lost=True, due_at=timezone.now() - timedelta(seconds=1), **row)
    assert machine.take() is None


@pytest.mark.django_db
def test_what_is_held_back_over_time_or_not_due_is_nobodys_turn():
    JobFactory(released_at=None)
    JobFactory(batch__ends_at=timezone.now() - timedelta(seconds=1))
    lost = JobFactory(lost=True, due_at=timezone.now() + timedelta(minutes=1))
    JobFactory(succeeded=True)
    assert machine.take() is None
    assert [job.pk for job in Job.objects.all() if machine.claim(job.pk)] == [lost.pk]


@pytest.mark.django_db
def test_a_pause_lets_nothing_begin_and_what_is_lost_be_looked_at():
    waiting, lost = JobFactory(), JobFactory(lost=True)
    Pause.objects.create()
    assert machine.take() is None
    assert machine.claim(waiting.pk) is None
    assert machine.claim(lost.pk)


@pytest.mark.django_db
def test_finding_the_next_job_reads_an_index_and_not_the_finished_ones():
    assert "jobs_whose_turn" in machine.turn().values_list("pk", flat=True)[:1].explain()


@pytest.mark.django_db(transaction=True)
def test_workers_that_take_at_once_get_different_jobs():
    waiting, taken = {JobFactory().pk for _ in range(60)}, []
    start = threading.Barrier(6)

    def work():
        start.wait()
        try:
            while job := machine.take():
                taken.append((job.pk, job.fence))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert sorted(taken) == sorted((pk, 1) for pk in waiting)
