"""The bell only wakes: one that is awake works by turn until nothing waits."""

import threading

import pytest

from servers.jobs import crew, launch, machine, presence
from servers.jobs.models import Job, Pause, Status
from tests.factories import JobFactory, ServerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toys", "rings", "toy_machine")]


@pytest.fixture(autouse=True)
def wire(settings):
    settings.JOB_WIRE = "tests.toyservice.machine.dial"


def looks(count: int) -> list[Job]:
    return list(launch.launch("toy.look", [ServerFactory() for _ in range(count)], by=None).jobs.order_by("id"))


def counts() -> dict:
    return Job.objects.counts()


def test_one_bell_is_enough_for_everything_that_waits():
    jobs = looks(4)
    crew.wake(jobs[2].pk)
    assert counts() == {Status.SUCCEEDED: 4}


def test_a_flood_of_bells_for_what_is_over_costs_two_looks_each(django_assert_max_num_queries):
    (job,) = looks(1)
    crew.wake(job.pk)
    with django_assert_max_num_queries(7):  # each in a transaction of its own
        crew.wake(job.pk)


def test_a_worker_that_was_told_to_end_takes_no_more(monkeypatch):
    jobs = looks(3)
    told = iter([False, True])
    monkeypatch.setattr(presence, "ending", lambda: next(told, True))
    crew.wake(jobs[0].pk)
    assert counts() == {Status.SUCCEEDED: 1, Status.QUEUED: 2}
    crew.wake(jobs[1].pk)
    assert counts() == {Status.SUCCEEDED: 1, Status.QUEUED: 2}


def test_a_pause_ends_the_work_after_the_running_job():
    jobs = looks(2)
    Pause.objects.create()
    crew.wake(jobs[0].pk)
    assert counts() == {Status.QUEUED: 2}


def test_the_last_threads_are_for_somebody_who_asks_for_one_server(monkeypatch):
    monkeypatch.setattr(crew, "_batch", threading.BoundedSemaphore(1))
    batch, (single,) = looks(2), looks(1)
    with crew._batch:
        crew.wake(batch[0].pk)
        assert counts() == {Status.QUEUED: 3}
        crew.wake(single.pk)
    assert counts() == {Status.QUEUED: 2, Status.SUCCEEDED: 1}


def test_all_leases_are_renewed_at_once_and_a_lost_one_is_told_apart():
    mine, taken, over = (machine.claim(JobFactory(action="toy.look", mutating=False).pk) for _ in range(3))
    Job.objects.filter(pk=taken.pk).update(fence=2)
    machine.finish(over, "succeed", outcome="Done.")
    before = {job.pk: job.lease_until for job in (mine, taken)}
    assert machine.hold_many([mine, taken, over]) == {mine.pk}
    after = dict(Job.objects.values_list("pk", "lease_until"))
    assert after[mine.pk] > before[mine.pk]
    assert (after[taken.pk], after[over.pk]) == (before[taken.pk], None)
