"""Old output goes, the outcome stays; nothing a person still follows is touched."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.models import TestEmail as SentTest
from servers.jobs import launch, pruning
from servers.jobs.models import Batch, Job, JobLine
from tests.factories import BatchFactory, JobFactory, JobLineFactory, ServerFactory

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def ended(days: float, lines: int = 0, **fields) -> Job:
    job = JobFactory(**({"status": "succeeded", "finished_at": NOW - timedelta(days=days)} | fields))
    for number in range(lines):
        JobLineFactory(job=job, number=number + 1)
    Batch.objects.filter(pk=job.batch_id).update(asked_at=NOW - timedelta(days=days))
    return job


def left() -> dict[int, int]:
    """{job: its lines}, jobs without lines left out."""
    found: dict[int, int] = {}
    for job in JobLine.objects.values_list("job", flat=True):
        found[job] = found.get(job, 0) + 1
    return found


@pytest.fixture
def kept(settings):
    def keep(lines_days=30, lines=1000, days=365):
        settings.JOB_KEEP_LINES_DAYS, settings.JOB_KEEP_LINES, settings.JOB_KEEP_DAYS = lines_days, lines, days

    keep()
    return keep


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(pruning, "REST", 0)


def test_output_goes_with_age_and_the_job_says_so(kept):
    old, young = ended(31, lines=3), ended(29, lines=3)
    silent = ended(31)
    pruning.prune(NOW)
    for job in (old, young, silent):
        job.refresh_from_db()
    assert left() == {young.pk: 3}
    assert (old.status, old.output_pruned_at) == ("succeeded", NOW)
    assert (young.output_pruned_at, silent.output_pruned_at) == (None, None), "nothing was taken from them"


@pytest.mark.parametrize("trait", ["running", "lost"])
def test_what_has_not_finished_keeps_everything(kept, trait):
    kept(lines_days=0, lines=0, days=0)
    live = JobFactory(**{trait: True}, started_at=NOW - timedelta(days=999))
    JobLineFactory(job=live)
    JobFactory(server=live.server, action=live.action, mutating=False)
    pruning.prune(NOW)
    assert left() == {live.pk: 1}


def test_too_many_lines_cost_the_oldest_jobs_theirs(kept):
    kept(lines=5)
    newest, oldest, middle = ended(1, lines=3), ended(3, lines=3), ended(2, lines=3)
    pruning.prune(NOW)
    assert left() == {newest.pk: 3}
    kept(lines=3)
    pruning.prune(NOW)
    assert left() == {newest.pk: 3}
    assert set(Job.objects.filter(output_pruned_at=NOW)) == {oldest, middle}


@pytest.mark.parametrize(
    ("enough", "taken"),
    [
        (None, [[1, 2], [3], [4]]),
        (1, [[1]]),
        (4, [[1, 2]]),
        (5, [[1, 2]]),
        (6, [[1, 2], [3]]),
        (99, [[1, 2], [3], [4]]),
    ],
)
def test_whole_jobs_are_taken_a_few_lines_at_a_time(monkeypatch, enough, taken):
    monkeypatch.setattr(pruning, "LINES", 5)
    assert list(pruning.chunks([(1, 3), (2, 2), (3, 9), (4, 1)], enough)) == taken


def test_a_job_with_more_lines_than_one_transaction_takes_loses_them_all(kept, monkeypatch):
    monkeypatch.setattr(pruning, "LINES", 2)
    ended(31, lines=5)
    pruning.prune(NOW)
    assert left() == {}


def test_old_jobs_go_but_never_the_newest_of_a_server_and_an_action(kept):
    server = ServerFactory()
    first = ended(400, server=server)
    last = ended(390, server=server)
    other_action = ended(395, server=server, action="toy.look", mutating=False)
    other_server = ended(399)
    pruning.prune(NOW)
    assert set(Job.objects.all()) == {last, other_action, other_server}
    assert not Batch.objects.filter(pk=first.batch_id).exists(), "nothing is left of it"
    assert Batch.objects.filter(pk=last.batch_id).exists()


def test_a_batch_asked_for_a_moment_ago_is_no_old_one(kept):
    fresh = BatchFactory()
    pruning.prune(NOW)
    assert Batch.objects.filter(pk=fresh.pk).exists()


def test_retries_and_test_emails_outlive_the_job_they_came_from(kept):
    server = ServerFactory()
    first = ended(400, server=server)
    retry = ended(1, server=server, retry_of=first)
    sent = SentTest.objects.create(server=server, job=first, at=NOW, delivery="sent")
    pruning.prune(NOW)
    retry.refresh_from_db()
    sent.refresh_from_db()
    assert (retry.retry_of, sent.job) == (None, None)


@pytest.mark.usefixtures("toys", "rings")
def test_a_batch_can_be_asked_again_after_its_output_is_gone(kept):
    job = ended(31, lines=1, status="failed")
    pruning.prune(NOW)
    assert launch.retry([job], by=None).jobs.get().retry_of == job


def test_pruning_is_asked_for_every_hour():
    from controlpanel.celery import app
    from servers.jobs import tasks

    planned = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    assert planned[tasks.prune.name] == timedelta(hours=1).total_seconds()
