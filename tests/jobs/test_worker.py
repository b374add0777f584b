"""A real Celery worker with the embedded broker, treated badly."""

import signal
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from controlpanel.celery import app
from servers.jobs import launch, presence
from servers.jobs.models import Job, JobStep, Status
from tests.factories import JobFactory, ServerFactory
from tests.jobs import processes
from tests.jobs.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("toys")]


@pytest.fixture
def start(folder, broker, toy_machine):
    """start() -> a worker process, ended with the test."""
    workers = []

    def start(**more) -> processes.Worker:
        workers.append(processes.Worker(folder, processes.environment(folder, broker, toy_machine, **more)))
        return workers[-1]

    yield start
    for worker in workers:
        worker.resume() if worker.process.poll() is None else None
        worker.kill()


def ask(action: str, **options) -> Job:
    return launch.launch(action, [ServerFactory()], by=None, options=options).jobs.get()


def status(job: Job) -> str:
    return Job.objects.values_list("status", flat=True).get(pk=job.pk)


def test_a_rung_job_is_done_by_the_worker(start):
    assert not presence.workers_present()
    worker = start()
    until(presence.workers_present, what="the worker's presence")
    job = ask("toy.look")
    until(lambda: status(job) == Status.SUCCEEDED, 14, "the job's success")  # it is rung for again after 15 s
    assert worker.end() == 0
    until(lambda: not presence.workers_present(), what="the worker's absence")


def test_a_worker_killed_in_the_middle_leaves_a_truth_and_the_next_reaches_the_goal(start):
    worker = start()
    job = ask("toy.hang", seconds=3)
    until(lambda: JobStep.objects.filter(job=job, state="running").exists(), what="the job's step")
    worker.kill()
    killed = timezone.now()
    start()
    until(lambda: status(job) != Status.RUNNING, what="an end of the claim that nobody keeps")
    assert timezone.now() - killed < timedelta(seconds=60)
    until(lambda: status(job) == Status.SUCCEEDED, what="the job's success")
    job.refresh_from_db()
    assert job.fence == 2
    assert list(job.steps.values_list("state", flat=True)) == ["skipped", "unchanged"]


def test_a_paused_worker_that_wakes_up_late_changes_nothing(start):
    """SIGSTOP is what a suspended virtual machine looks like."""
    sleeper = start()
    job = ask("toy.hang", seconds=2)
    until(lambda: JobStep.objects.filter(job=job, state="running").exists(), what="the job's step")
    sleeper.pause()
    start()
    until(lambda: status(job) == Status.SUCCEEDED, what="the job's success in the other worker")
    before = Job.objects.values().get(pk=job.pk), list(job.steps.values())
    sleeper.resume()
    until(lambda: b"taken over" in sleeper.log.read_bytes() or b"no longer ours" in sleeper.log.read_bytes())
    assert (Job.objects.values().get(pk=job.pk), list(job.steps.values())) == before


def test_jobs_survive_a_broker_that_lost_everything(start):
    """Rows nobody rang for, as after FLUSHALL."""
    jobs = [JobFactory(action="toy.look", mutating=False, rung_at=timezone.now() - timedelta(minutes=1)) for _ in "abc"]
    start()
    until(lambda: Job.objects.filter(status=Status.SUCCEEDED).count() == 3, what="all three")
    assert [job.fence for job in Job.objects.filter(pk__in=[job.pk for job in jobs])] == [1, 1, 1]


def test_a_broker_killed_during_a_job_neither_doubles_nor_loses_one(start, broker):
    worker = start()
    running = ask("toy.hang", seconds=3)
    until(lambda: status(running) == Status.RUNNING, what="the job's start")
    broker.kill()
    waiting = ask("toy.look")
    broker.start()
    until(lambda: status(running) == Status.SUCCEEDED, what="the running job's success")
    until(lambda: status(waiting) == Status.SUCCEEDED, what="the waiting job's success")
    assert worker.process.poll() is None, "the worker outlives its broker"
    assert sorted(Job.objects.values_list("fence", flat=True)) == [1, 1]


def test_the_same_bell_ten_times_is_one_run(start):
    start()
    job = ask("toy.hang", seconds=1)
    for _ in range(10):
        app.send_task("servers.jobs.tasks.run", args=(job.pk,))
    until(lambda: status(job) == Status.SUCCEEDED, what="the job's success")
    job.refresh_from_db()
    assert (job.fence, job.steps.count()) == (1, 1)


def test_a_deployment_lets_a_short_job_finish(start):
    worker = start()
    job = ask("toy.hang", seconds=2)
    until(lambda: status(job) == Status.RUNNING, what="the job's start")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(120) == 0
    job.refresh_from_db()
    assert (job.status, job.fence) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize("delay", [0.0, 0.8, 1.6])
def test_a_worker_killed_while_the_server_changes_leaves_one_writer_and_the_goal_is_reached(
    start, broker, toy_machine, delay
):
    """The server goes on by itself; the next worker attaches to that run, and no step is done or recorded twice."""
    worker = start()
    job = ask("toy.set", text="canary-text", pause=1)
    until((toy_machine / "note.prepared").exists, what="the first step")
    time.sleep(delay)
    worker.kill()
    start()
    seen = set()
    until(lambda: seen.add(status(job)) or status(job) == Status.SUCCEEDED, what="the job's success")
    job.refresh_from_db()
    assert seen <= {Status.RUNNING, Status.LOST_CONTACT, Status.SUCCEEDED}
    assert (toy_machine / "note").read_text() == "canary-text"
    assert (toy_machine / "note.prepared").read_text() == "x\n"
    applied = [slug for slug in job.steps.values_list("slug", flat=True) if slug in ("prepare", "write")]
    assert applied == ["prepare", "write"]
    assert not job.steps.filter(state=JobStep.State.RUNNING).exists()


def test_nothing_secret_reaches_the_broker_or_a_workers_log(start, broker, folder):
    worker = start()
    job = ask("toy.set", text="canary-text")
    until(lambda: status(job) == Status.SUCCEEDED, what="the job's success")
    worker.end()
    left = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "vault")
    assert b"canary" not in left
