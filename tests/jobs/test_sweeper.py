"""Nothing waits for ever, and nothing is lost with the broker."""

from datetime import timedelta

import pytest
from django.utils import timezone

from servers.jobs import bell, machine, sweeper
from servers.jobs.models import Job, JobStep, Status
from servers.models import Server
from tests.factories import BatchFactory, JobFactory, JobStepFactory, OperatorFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toys")]


def sweep(rings) -> list[int]:
    """The jobs one sweep rings for."""
    rings.clear()
    sweeper.sweep()
    bell._outbox.join()
    return sorted(rings)


def long_ago(**ago):
    return timezone.now() - timedelta(**ago)


def test_a_broker_that_lost_everything_costs_fifteen_seconds(rings):
    forgotten = [JobFactory(rung_at=long_ago(seconds=16)) for _ in range(3)]
    fresh = JobFactory(rung_at=long_ago(seconds=5))
    assert sweep(rings) == [job.pk for job in forgotten]
    assert sweep(rings) == [], "each is rung for once in fifteen seconds"
    assert fresh.pk not in rings


def test_a_worker_that_stopped_renewing_loses_its_job_to_the_next(rings):
    job = JobFactory(running=True, lease_until=long_ago(seconds=1))
    live = JobFactory(running=True)
    assert sweep(rings) == [job.pk]
    job.refresh_from_db()
    live.refresh_from_db()
    assert (job.status, job.cause, live.status) == (Status.LOST_CONTACT, "worker-lost", Status.RUNNING)
    assert machine.claim(job.pk).fence == 2


def test_a_lost_server_is_looked_at_when_it_is_due(rings):
    due = JobFactory(lost=True, due_at=long_ago(seconds=1), submitted_at=timezone.now())
    JobFactory(lost=True, due_at=timezone.now() + timedelta(seconds=60))
    assert sweep(rings) == [due.pk]
    assert sweep(rings) == []


@pytest.mark.parametrize(
    ("row", "status", "cause", "says"),
    [
        (
            {"submitted_at": timezone.now(), "lost_at": long_ago(hours=7), "outcome": "The line is silent."},
            Status.ERRORED,
            "lost-contact",
            "whether the work handed to it was finished is not known",
        ),
        ({"fence": 5}, Status.ERRORED, "worker-lost", "nothing was handed to the server"),
        ({"cancel_asked_at": timezone.now()}, Status.CANCELLED, "cancelled", "before anything was handed"),
    ],
)
def test_what_is_lost_for_good_ends_with_a_true_sentence(rings, row, status, cause, says):
    job = JobFactory(lost=True, due_at=long_ago(seconds=1), **row)
    step = JobStepFactory(job=job)
    assert sweep(rings) == []
    job.refresh_from_db()
    step.refresh_from_db()
    assert (job.status, job.cause) == (status, cause)
    assert says in job.outcome
    assert step.state != JobStep.State.RUNNING


def test_a_person_ends_the_wait_for_a_dead_server(toy_machine, rings):
    """Asked to cancel, a lost job is looked at once more, and given up when that fails."""
    from servers.jobs import launch, runner
    from tests.toyservice.machine import dial

    job = JobFactory(lost=True, submitted_at=timezone.now(), lost_at=timezone.now(), due_at=long_ago(seconds=-300))
    (toy_machine / "unplugged").touch()
    assert launch.cancel(job, by=OperatorFactory())
    assert sweep(rings) == [job.pk]
    runner.run(job.pk, dial)
    job.refresh_from_db()
    assert job.status == Status.ERRORED
    assert job.outcome.startswith(
        "Given up on request; whether the work handed to the server was finished is not known."
    )


def test_a_finished_job_is_left_alone(rings):
    for status in ("succeeded", "failed", "errored", "cancelled"):
        JobFactory(status=status, rung_at=long_ago(days=1), lease_until=long_ago(days=1), due_at=long_ago(days=1))
    before = sorted(Job.objects.values_list("pk", "status"))
    assert sweep(rings) == []
    assert sorted(Job.objects.values_list("pk", "status")) == before


def test_thousands_that_wait_are_not_rung_for_one_by_one(rings):
    batch = BatchFactory()
    servers = Server.objects.bulk_create([Server(name=f"bulk-{n}", address="192.0.2.1") for n in range(300)])
    row = {"action": "toy.set", "mutating": True, "rank": 1, "released_at": timezone.now()}
    Job.objects.bulk_create(Job(batch=batch, server=server, rung_at=long_ago(minutes=1), **row) for server in servers)
    single = JobFactory(rank=0, rung_at=long_ago(minutes=1))
    first = sweep(rings)
    assert single.pk in first
    assert len(first) == machine.WAKE
    assert sweep(rings) == [], "the same ones are next, and were rung for a moment ago"
    machine.finish(machine.take(), "succeed", outcome="Done.")
    assert len(sweep(rings)) == 1, "the one that moved up"


def test_while_jobs_run_a_few_bells_bring_in_who_sleeps(rings):
    """Those who are awake go on by themselves; a bell they hear as well costs them work for nothing."""
    batch = BatchFactory()
    servers = Server.objects.bulk_create(
        [Server(name=f"bulk-{n}", address="192.0.2.1") for n in range(sweeper.SOME + 9)]
    )
    row = {"action": "toy.look", "mutating": False, "rank": 1, "released_at": timezone.now()}
    Job.objects.bulk_create(Job(batch=batch, server=server, rung_at=long_ago(minutes=1), **row) for server in servers)
    JobFactory(running=True)
    assert len(sweep(rings)) == sweeper.SOME


def test_a_batch_whose_failures_the_sweeper_finds_stops_there(rings):
    """A worker that is killed again and again never calls advance itself."""
    batch = BatchFactory(stop_after=1)
    JobFactory(batch=batch, lost=True, due_at=long_ago(seconds=1), fence=5)
    held = JobFactory(batch=batch, released_at=None)
    sweep(rings)
    held.refresh_from_db()
    assert (held.status, held.cause) == (Status.CANCELLED, "stopped")
