"""How a batch is let loose: the table of decisions, and what comes of them in the rows."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from servers.jobs import launch, machine, rollout, sweeper
from servers.jobs.models import Batch, Job, Status
from servers.jobs.rollout import Policy, Release, Standing, Stop
from tests.factories import JobFactory, ServerFactory

pytestmark = pytest.mark.usefixtures("toys", "rings")
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("count", "policy", "sizes"),
    [
        (0, Policy(), []),
        (5, Policy(), [5]),
        (5, Policy(canary=2), [2, 3]),
        (5, Policy(canary=5), [5]),
        (5, Policy(canary=9), [5]),
        (10, Policy(portion=25), [3, 3, 3, 1]),
        (10, Policy(canary=1, portion=25), [1, 3, 3, 3]),
        (10, Policy(portion=100), [10]),
        (3, Policy(portion=1), [1, 1, 1]),
        (10_000, Policy(canary=2, portion=50), [2, 5000, 4998]),
        (0, Policy(canary=2, portion=10), []),
    ],
)
def test_servers_are_dealt_into_waves(count, policy, sizes):
    assert rollout.waves(count, policy) == sizes
    assert sum(sizes) == count


CANARY = Policy(canary=2)


@pytest.mark.parametrize(
    ("policy", "at", "move"),
    [
        # nothing waits: there is nothing to decide, whatever happened
        (CANARY, Standing(working=1), None),
        (Policy(stop_after=1), Standing(failed=3, working=1), None),
        (Policy(ends_at=NOW), Standing(working=3), None),
        # a time to begin and a time to stop beginning
        (Policy(starts_at=NOW + HOUR), Standing(held=0), None),
        (Policy(starts_at=NOW), Standing(held=0), Release(0, None)),
        (Policy(ends_at=NOW + HOUR), Standing(held=0), Release(0, None)),
        (Policy(ends_at=NOW), Standing(held=0), Stop("The maintenance window closed.")),
        (Policy(ends_at=NOW), Standing(queued=1), Stop("The maintenance window closed.")),
        # the canary, then the rest
        (CANARY, Standing(held=0, canary=2), Release(0, None)),
        (CANARY, Standing(held=1, queued=1, working=1, canary=2), None),
        (CANARY, Standing(held=1, working=1, canary=2, canary_failed=1), None),
        (CANARY, Standing(held=1, canary=2), Release(1, None)),
        (CANARY, Standing(held=1, canary=2, canary_failed=1), Stop("The canary failed on 1 of 2 servers.")),
        (Policy(canary=1), Standing(held=1, canary=1, canary_failed=1), Stop("The canary failed on 1 of 1 server.")),
        (CANARY, Standing(held=1, canary=2, canary_cancelled=2), Stop("The canary was cancelled on 2 of 2 servers.")),
        (CANARY, Standing(wave=1, held=2, failed=5), Release(2, None)),
        # waves wait for each other, whatever failed
        (Policy(portion=10), Standing(wave=3, held=4, working=1), None),
        (Policy(portion=10), Standing(wave=3, held=4, failed=7), Release(4, None)),
        # so many at once
        (Policy(concurrency=5), Standing(held=0), Release(0, 5)),
        (Policy(concurrency=5), Standing(held=0, queued=2, working=2), Release(0, 1)),
        (Policy(concurrency=5), Standing(held=0, queued=2, working=3), None),
        (Policy(concurrency=5, portion=10), Standing(held=1, working=1), None),
        # failures that stop it; without a chosen concurrency the rest is held back in a window
        (Policy(stop_after=3), Standing(held=0), Release(0, rollout.WINDOW)),
        (Policy(stop_after=3), Standing(held=0, working=4, failed=2), Release(0, rollout.WINDOW - 4)),
        (Policy(stop_after=3), Standing(held=0, failed=3), Stop("3 servers failed; the limit is 3.")),
        (Policy(stop_after=1), Standing(held=0, working=9, failed=1), Stop("1 server failed; the limit is 1.")),
        (Policy(stop_after=3), Standing(queued=2, failed=4), Stop("4 servers failed; the limit is 3.")),
        (Policy(stop_percent=10), Standing(held=0, failed=9, total=100), Release(0, rollout.WINDOW)),
        (
            Policy(stop_percent=10),
            Standing(held=0, failed=10, total=100),
            Stop("10 servers failed of 100; the limit is 10 %."),
        ),
        (Policy(stop_percent=1, concurrency=3), Standing(held=0, total=9), Release(0, 3)),
    ],
)
def test_the_table_of_decisions(policy, at, move):
    assert rollout.decide(policy, NOW, at) == move


def ask(count: int, **policy) -> Batch:
    servers = ServerFactory.create_batch(count)
    return launch.launch("toy.set", servers, by=None, policy=Policy(**policy))


def end(job: Job, how: str = "succeed", **fields) -> None:
    """One job from claim to end, and the runner's call afterwards."""
    claimed = machine.claim(job.pk)
    assert claimed, f"{job} may not begin"
    machine.finish(claimed, how, outcome="It ended.", **fields)
    rollout.advance(job.batch_id)


def loose(batch: Batch) -> list[Job]:
    """What a worker may take now."""
    return list(batch.jobs.filter(status=Status.QUEUED, released_at__isnull=False).order_by("pk"))


def waves(batch: Batch) -> list[int]:
    return list(batch.jobs.order_by("pk").values_list("wave", flat=True))


@pytest.mark.django_db
def test_the_policy_is_written_down_and_read_back():
    policy = Policy(1, 10, 2, 20, 5, "random", NOW, NOW + HOUR)
    batch = ask(2, **policy.__dict__)
    assert rollout.policy_of(batch) == Policy(1, 10, 2, 20, 5, "name", NOW, NOW + HOUR)
    assert not loose(batch), "its time is over"


@pytest.mark.django_db
def test_a_plain_batch_goes_all_at_once_and_asks_nothing_afterwards(django_assert_num_queries):
    batch = ask(3)
    assert not batch.paced
    assert len(loose(batch)) == 3
    assert not Batch.objects.paced().exists()


@pytest.mark.django_db
@pytest.mark.parametrize("column", ["canary", "portion", "concurrency", "stop_after", "stop_percent"])
def test_whatever_paces_a_batch_is_known_in_python_and_in_sql(column):
    batch = ask(2, **{column: 1})
    assert batch.paced
    assert list(Batch.objects.paced()) == [batch]


@pytest.mark.django_db
def test_the_rest_begins_when_every_canary_succeeded():
    batch = ask(5, canary=2)
    assert waves(batch) == [0, 0, 1, 1, 1]
    first, second = loose(batch)
    end(first)
    assert loose(batch) == [second], "half a canary is none"
    end(second)
    assert len(loose(batch)) == 3
    batch.refresh_from_db()
    assert (batch.wave, batch.stopped_at) == (1, None)


@pytest.mark.django_db
def test_a_failed_canary_keeps_the_rest_from_beginning_and_says_so():
    batch = ask(5, canary=2)
    first, second = loose(batch)
    end(first, "fail", cause="connect-timeout")
    end(second)
    batch.refresh_from_db()
    assert batch.stopped_at
    assert batch.stopped_reason == "The canary failed on 1 of 2 servers."
    skipped = batch.jobs.filter(wave=1)
    assert set(skipped.values_list("status", "cause", "outcome", "changed")) == {
        (
            Status.CANCELLED,
            "stopped",
            "Skipped: the batch was stopped. The canary failed on 1 of 2 servers.",
            False,
        )
    }
    assert not [job for job in skipped if job.started_at or not job.finished_at]
    entry = AuditEntry.objects.get(verb="stopped")
    assert entry.detail == {"reason": batch.stopped_reason, "skipped": 3}
    rollout.advance(batch.pk)
    assert AuditEntry.objects.filter(verb="stopped").count() == 1


@pytest.mark.django_db
def test_a_canary_out_of_contact_has_not_ended():
    batch = ask(3, canary=1)
    claimed = machine.claim(loose(batch)[0].pk)
    machine.hold(claimed, submitted_at=timezone.now())
    machine.lose_contact(claimed, outcome="Silence.")
    rollout.advance(batch.pk)
    batch.refresh_from_db()
    assert (loose(batch), batch.stopped_at) == ([], None)
    end(claimed)
    assert len(loose(batch)) == 2


@pytest.mark.django_db
def test_a_busy_server_is_no_canary():
    servers = ServerFactory.create_batch(4)
    names = sorted(servers, key=lambda server: server.name.casefold())
    JobFactory(server=names[0], running=True)
    batch = launch.launch("toy.set", servers, by=None, policy=Policy(canary=1))
    assert [job.server for job in loose(batch)] == [names[1]]
    end(loose(batch)[0])
    assert [job.server for job in loose(batch)] == names[2:]


@pytest.mark.django_db
def test_waves_follow_each_other_and_failures_do_not_stop_them_unless_asked():
    batch = ask(5, portion=40)
    assert waves(batch) == [0, 0, 1, 1, 2]
    for sizes in (2, 2, 1):
        now = loose(batch)
        assert len(now) == sizes
        for job in now:
            end(job, "fail")
    assert batch.jobs.filter(status=Status.FAILED).count() == 5


@pytest.mark.django_db
def test_no_more_jobs_are_loose_than_the_batch_may_have_at_work():
    batch, seen = ask(7, concurrency=3), []
    while now := loose(batch):
        seen.append(len(now))
        end(now[0])
    assert seen == [3, 3, 3, 3, 3, 2, 1]


@pytest.mark.django_db
def test_failures_stop_what_has_not_begun_and_leave_what_has(monkeypatch):
    monkeypatch.setattr(rollout, "WINDOW", 4)
    batch = ask(10, stop_after=2)
    running, first, second, *_ = loose(batch)
    running = machine.claim(running.pk)
    end(first, "fail")
    end(second, "error")
    batch.refresh_from_db()
    assert batch.stopped_reason == "2 servers failed; the limit is 2."
    assert batch.jobs.filter(cause="stopped").count() == 7
    assert machine.finish(running, "succeed", outcome="Done.")


@pytest.mark.django_db
def test_failures_in_percent_are_of_all_servers():
    batch = ask(5, stop_percent=40, concurrency=1)
    end(loose(batch)[0], "fail")
    assert loose(batch)
    end(loose(batch)[0], "fail")
    batch.refresh_from_db()
    assert batch.stopped_reason == "2 servers failed of 5; the limit is 40 %."


@pytest.mark.django_db
def test_a_schedule_begins_at_its_time_and_ends_at_its_time(time_machine_at):
    time_machine_at(NOW - HOUR)
    batch = ask(3, starts_at=NOW, ends_at=NOW + HOUR, concurrency=1)
    sweeper.sweep()
    assert loose(batch) == []
    time_machine_at(NOW)
    sweeper.sweep()
    first = loose(batch)[0]
    end(first)
    waiting = loose(batch)[0]
    time_machine_at(NOW + HOUR)
    assert machine.claim(waiting.pk) is None, "not even in the seconds before the next sweep"
    sweeper.sweep()
    batch.refresh_from_db()
    assert batch.stopped_reason == "The maintenance window closed."
    assert batch.jobs.filter(cause="stopped").count() == 2


@pytest.fixture
def time_machine_at():
    import time_machine

    travels = []

    def travel(moment):
        while travels:
            travels.pop().stop()
        travels.append(time_machine.travel(moment, tick=False))
        travels[-1].start()

    yield travel
    while travels:
        travels.pop().stop()


@pytest.mark.django_db
def test_a_worker_killed_between_an_end_and_the_next_move_holds_nothing_up():
    batch = ask(3, canary=1)
    claimed = machine.claim(loose(batch)[0].pk)
    machine.finish(claimed, "succeed", outcome="Done.")
    assert loose(batch) == []
    sweeper.sweep()
    assert len(loose(batch)) == 2


@pytest.mark.django_db
def test_the_sweeper_looks_only_at_batches_that_may_have_a_move():
    plain, stopped, done, paced = ask(2), ask(2, canary=1), ask(1, canary=1), ask(2, canary=1)
    end(loose(stopped)[0], "fail")
    end(loose(done)[0])
    assert plain.jobs.filter(status=Status.QUEUED).count() == 2
    assert rollout.waiting() == [paced.pk]


@pytest.mark.django_db
def test_a_move_costs_the_same_for_three_servers_and_for_three_hundred(django_assert_max_num_queries):
    for batch in (ask(3, concurrency=1), ask(300, concurrency=1, stop_percent=50)):
        claimed = machine.claim(loose(batch)[0].pk)
        machine.finish(claimed, "succeed", outcome="Done.")
        with django_assert_max_num_queries(9):
            rollout.advance(batch.pk)
        assert len(loose(batch)) == 1


@pytest.mark.django_db
def test_stopping_three_hundred_servers_takes_a_few_statements(django_assert_max_num_queries):
    batch = ask(300, canary=1)
    claimed = machine.claim(loose(batch)[0].pk)
    machine.finish(claimed, "fail", outcome="No.")
    with django_assert_max_num_queries(23):  # a dozen of them open the alert
        rollout.advance(batch.pk)
    assert batch.jobs.filter(cause="stopped").count() == 299


@pytest.mark.django_db(transaction=True)
def test_of_many_who_move_a_batch_at_once_none_lets_too_many_go():
    batch, start = ask(40, concurrency=3), threading.Barrier(6)
    over: list[int] = []

    def work():
        start.wait()
        try:
            while job := machine.take():
                at_work = batch.jobs.filter(status__in=("queued", "running"), released_at__isnull=False).count()
                over.append(at_work) if at_work > 3 else None
                machine.finish(job, "succeed", outcome="Done.")
                rollout.advance(job.batch_id)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert over == []
    while job := machine.take():  # a thread that found nothing loose for a moment went home
        machine.finish(job, "succeed", outcome="Done.")
        rollout.advance(batch.pk)
    assert batch.jobs.filter(status=Status.SUCCEEDED, fence=1).count() == 40


@pytest.mark.django_db(transaction=True)
def test_a_cancel_a_stop_and_a_take_at_once_leave_each_job_one_outcome():
    for _ in range(10):
        batch = ask(20, concurrency=4, stop_after=1)
        start = threading.Barrier(3)

        def at_once(move, start=start):
            start.wait()
            try:
                move()
            finally:
                connection.close()

        def fail(batch=batch):
            job = machine.take()
            machine.finish(job, "fail", outcome="No.") if job else None
            rollout.advance(batch.pk)

        moves = [fail, fail, lambda batch=batch: launch.cancel_queued(batch, by=None)]
        threads = [threading.Thread(target=at_once, args=(move,)) for move in moves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rollout.advance(batch.pk)
        ended = batch.jobs.counts()
        assert sum(ended.values()) == 20
        assert set(ended) <= {"failed", "cancelled"}
        assert batch.jobs.filter(status="cancelled", started_at__isnull=False).count() == 0
