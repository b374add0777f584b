"""Nine words for a job of a batch, and one sentence for the whole."""

from itertools import product

import pytest

from servers.jobs import verdicts
from servers.jobs.models import Job, Status
from servers.jobs.verdicts import Tally
from tests.factories import BatchFactory, JobFactory

CAUSES = ["", "sign-in", "cancelled", "panel-error", *sorted(verdicts.LEFT_OUT), *sorted(verdicts.NOT_REACHED)]


@pytest.mark.django_db
def test_sql_and_python_say_the_same_of_every_combination():
    batch = BatchFactory()
    for status, changed, cause in product(Status.values, (True, False, None), CAUSES):
        JobFactory(batch=batch, status=status, changed=changed, cause=cause, mutating=False)
    jobs = list(batch.jobs.annotate(verdict=verdicts.EXPRESSION))
    assert [job.verdict for job in jobs] == [verdicts.verdict(job) for job in jobs]
    assert {job.verdict for job in jobs} == set(verdicts.ALL)
    for word in verdicts.ALL:
        found = set(verdicts.only(batch.jobs.all(), word).values_list("pk", flat=True))
        assert found == {job.pk for job in jobs if job.verdict == word}
    assert verdicts.tally(batch.jobs.all()).counts == {
        word: sum(job.verdict == word for job in jobs) for word in verdicts.ALL
    }


@pytest.mark.parametrize(
    ("status", "cause", "word"),
    [
        ("failed", "connect-timeout", "unreachable"),
        ("failed", "tcp", "unreachable"),
        ("failed", "sign-in", "failed"),
        ("failed", "host-key-changed", "failed"),
        ("errored", "lost-contact", "failed"),
        ("cancelled", "busy", "skipped"),
        ("cancelled", "stopped", "skipped"),
        ("cancelled", "window", "skipped"),
        ("cancelled", "cancelled", "cancelled"),
        ("cancelled", "revoked", "cancelled"),
        ("lost-contact", "connect-timeout", "lost-contact"),
    ],
)
def test_unreachable_is_not_failed_and_skipped_is_not_cancelled(status, cause, word):
    assert verdicts.verdict(Job(status=status, cause=cause)) == word


def test_the_connection_check_still_names_its_stages_so():
    from servers.remote.stages import TITLES

    assert {"name", "tcp", "ssh"} <= set(TITLES)


C, U, F, N, L, S, X, R, Q = verdicts.ALL


@pytest.mark.parametrize(
    ("counts", "slug", "sentence"),
    [
        ({C: 30, U: 11}, "done", "All 41 servers are done."),
        ({C: 1}, "done", "The server is done."),
        ({C: 38, N: 2, F: 1}, "partly", "38 of 41 servers are done. 2 could not be reached, 1 failed."),
        ({C: 1, X: 3}, "partly", "1 of 4 servers is done. 3 were cancelled."),
        ({N: 3}, "undone", "None of 3 servers is done. 3 could not be reached."),
        ({F: 2, S: 1}, "failed", "None of 3 servers is done. 2 failed, 1 was skipped."),
        ({C: 2, F: 1, R: 4, Q: 1}, "running", "2 of 8 servers are done so far. 1 failed. 4 are running, 1 waits."),
        ({Q: 5}, "queued", "0 of 5 servers are done so far. 5 wait."),
        ({C: 1, L: 1}, "running", "1 of 2 servers is done so far. 1 is out of contact."),
    ],
)
def test_the_verdict_is_graded(counts, slug, sentence):
    assert verdicts.grade(Tally(counts)) == verdicts.Grade(slug, sentence)


def test_a_panel_error_is_counted_with_the_failed_and_named():
    assert "1 failed, 2 met a panel error." in verdicts.grade(Tally({C: 1, F: 3}, errored=2)).sentence


@pytest.mark.parametrize("dead", [1, 5, 9])
def test_dead_servers_alone_never_make_a_batch_red(dead):
    assert verdicts.grade(Tally({C: 10 - dead, N: dead})).slug == "partly"


def test_the_bar_is_full_and_shows_one_among_thousands():
    bar = verdicts.segments(Tally({C: 9998, F: 1, N: 1}))
    assert [part["verdict"] for part in bar] == [C, F, N]
    assert sum(float(part["width"]) for part in bar) == pytest.approx(verdicts.WIDTH, abs=0.2)
    assert min(float(part["width"]) for part in bar) >= verdicts.LEAST
    assert verdicts.segments(Tally({})) == []


@pytest.mark.django_db
def test_every_move_changes_the_stamp():
    batch = BatchFactory()
    job, other = JobFactory(batch=batch, released_at=None), JobFactory(batch=batch, running=True)
    seen = [verdicts.tally(batch.jobs.all()).stamp]
    for row, fields in (
        (job, {"released_at": other.started_at}),
        (job, {"status": Status.RUNNING, "fence": 1}),
        (other, {"fence": 2}),
        (other, {"status": Status.LOST_CONTACT}),
        (other, {"status": Status.FAILED, "finished_at": other.started_at}),
    ):
        Job.objects.filter(pk=row.pk).update(**fields)
        seen.append(verdicts.tally(batch.jobs.all()).stamp)
    assert len(set(seen)) == len(seen)
