"""What people see of jobs, and what they do not."""

import html
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from servers.jobs import story
from servers.jobs.models import Job, JobStep, Status
from tests.factories import (
    AdministratorFactory,
    BatchFactory,
    JobFactory,
    JobLineFactory,
    JobStepFactory,
    ServerFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toys", "rings")]
HTMX = {"HX-Request": "true"}


def page(client, name, *args, status=200, query="", **headers):
    answer = client.get(reverse(f"jobs:{name}", args=args) + query, headers=headers)
    assert answer.status_code == status
    return answer.content.decode()


def live(client, job, status=200, seen=""):
    return page(client, "live", job.pk, status=status, query=f"?seen={seen}", **HTMX)


def test_the_job_page_shows_each_step_its_output_and_who_asked(operator_client):
    job = JobFactory(running=True, batch__asked_by__name="Ada")
    done = JobStepFactory(job=job, title="Look at the server", state="unchanged", finished_at=timezone.now())
    JobLineFactory(step=done, number=1, text="Debian 12")
    JobLineFactory(step=JobStepFactory(job=job, title="Install packages"), number=2, text="Unpacking <postfix>")
    text = page(operator_client, "job", job.pk)
    for expected in ("Ada", "Look at the server", "Debian 12", "Unpacking &lt;postfix&gt;", "Running"):
        assert expected in text
    assert re.search(r"<details id=\"step-\d+-running\" open>", text), "the running step is unfolded"
    assert re.search(r"<details id=\"step-\d+-unchanged\" hx-preserve>", text), "a finished one stays as it is"


def test_a_live_page_polls_and_reloads_without_javascript(operator_client):
    text = page(operator_client, "job", JobFactory(running=True).pk)
    assert 'hx-trigger="every 1s"' in text
    assert '<noscript><meta http-equiv="refresh"' in text
    over = page(operator_client, "job", JobFactory(succeeded=True).pk)
    assert "hx-trigger" not in over.split('id="job"')[1].split(">")[0]
    assert "http-equiv" not in over


def test_a_finished_job_answers_286_and_asks_no_more(operator_client):
    job = JobFactory(succeeded=True)
    text = live(operator_client, job, status=286)
    assert "Set." in text
    assert "every 1s" not in text


def test_while_nothing_happens_only_the_clocks_are_sent(operator_client):
    job = JobFactory(running=True)
    step = JobStepFactory(job=job)
    seen = story.version(job)
    quiet = operator_client.get(reverse("jobs:live", args=[job.pk]) + f"?seen={seen}", headers=HTMX)
    assert quiet.headers["HX-Reswap"] == "none"
    assert "job-clock" in quiet.content.decode()
    JobLineFactory(step=step, text="news")
    assert "news" in live(operator_client, job, seen=seen)


@pytest.mark.parametrize("change", [{"status": Status.LOST_CONTACT}, {"cancel_asked_at": timezone.now()}, {"fence": 7}])
def test_every_move_is_news(change):
    job = JobFactory(running=True)
    before = story.version(job)
    Job.objects.filter(pk=job.pk).update(**change)
    assert story.version(Job.objects.get(pk=job.pk)) != before


def test_a_failure_has_three_lines(operator_client):
    job = JobFactory(failed=True)
    step = JobStepFactory(job=job, state=JobStep.State.FAILED)
    JobLineFactory(step=step, text="535 5.7.8 bad credentials")
    trouble = page(operator_client, "job", job.pk).split('class="trouble"')[1]
    for line in ("The server refused the sign-in.", "535 5.7.8 bad credentials", "Check the user name and the key."):
        assert line in trouble


def test_a_preview_shows_commands_and_the_diff(operator_client):
    preview = {
        "steps": [{"slug": "a", "title": "Set parameters", "commands": ["postconf -e x=y"]}],
        "diffs": {"/etc/postfix/main.cf": "@@ -1 +1 @@\n-a\n+<b>"},
        "notes": ["Two messages wait."],
    }
    text = page(operator_client, "job", JobFactory(succeeded=True, result={"preview": preview}).pk)
    for expected in ("Set parameters", "postconf -e x=y", "/etc/postfix/main.cf", "+&lt;b&gt;", "Two messages wait."):
        assert expected in text


def test_long_output_shows_its_end_and_links_to_the_rest(operator_client):
    step = JobStepFactory()
    for number in range(story.SHOWN + 30):
        JobLineFactory(step=step, number=number, text=f"line {number};")
    text = page(operator_client, "job", step.job_id)
    assert "30 earlier lines" in text
    assert "line 129;" in text
    assert "line 29;" not in text
    assert "line 0;" in operator_client.get(reverse("jobs:log", args=[step.job_id])).content.decode()


def test_the_raw_log_is_text_that_no_browser_interprets(operator_client):
    line = JobLineFactory(text="<script>alert(1)</script>")
    answer = operator_client.get(reverse("jobs:log", args=[line.job_id]))
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script>alert(1)</script>" in answer.content.decode()


@pytest.mark.parametrize("name", ["job", "live", "log", "retry", "cancel"])
def test_a_job_on_somebody_elses_server_does_not_exist(customer_client, name):
    job = JobFactory(running=True)
    ask = customer_client.post if name in ("retry", "cancel") else customer_client.get
    assert ask(reverse(f"jobs:{name}", args=[job.pk])).status_code == 404
    job.server.people.add(customer_client.user)
    assert ask(reverse(f"jobs:{name}", args=[job.pk])).status_code != 404


def test_lists_and_batches_hold_only_what_one_may_see(customer_client):
    batch = BatchFactory()
    mine = JobFactory(batch=batch, server=ServerFactory(name="mine-1", people=[customer_client.user]))
    JobFactory(batch=batch, server=ServerFactory(name="theirs-1"))
    for text in (page(customer_client, "list"), page(customer_client, "batch", batch.pk)):
        assert "mine-1" in text
        assert "theirs-1" not in text
    mine.server.people.clear()
    page(customer_client, "batch", batch.pk, status=404)


def test_a_customer_reads_a_role_where_others_read_a_name(customer_client, operator_client):
    admin = AdministratorFactory(name="Secret Ada", email="ada@example.com")
    server = ServerFactory(people=[customer_client.user])
    job = JobFactory(
        server=server, batch__asked_by=admin, running=True, cancel_asked_by=admin, cancel_asked_at=timezone.now()
    )
    for name, args in (("job", [job.pk]), ("list", []), ("batch", [job.batch_id])):
        seen = page(customer_client, name, *args)
        assert "an administrator" in seen
        assert "Secret Ada" not in seen
        assert "ada@example.com" not in seen
        assert "Secret Ada" in page(operator_client, name, *args)


def test_retry_makes_a_new_job_and_goes_there(operator_client):
    job = JobFactory(failed=True)
    answer = operator_client.post(reverse("jobs:retry", args=[job.pk]))
    again = Job.objects.get(retry_of=job)
    assert answer.headers["Location"] == reverse("jobs:job", args=[again.pk])
    busy = operator_client.post(reverse("jobs:retry", args=[job.pk]))
    assert busy.headers["Location"] == reverse("jobs:job", args=[again.pk]), "the second click leads to the same job"


def test_retrying_something_dangerous_asks_on_a_page_of_its_own(operator_client):
    job = JobFactory(failed=True, action="toy.remove")
    assert f'href="{reverse("jobs:retry", args=[job.pk])}"' in page(operator_client, "job", job.pk)
    text = page(operator_client, "retry", job.pk)
    assert f"Remove the note on {job.server}" in html.unescape(text)
    assert not Job.objects.filter(retry_of=job).exists()


def test_a_viewer_may_look_and_not_touch(viewer_client):
    job = JobFactory(running=True)
    text = page(viewer_client, "job", job.pk)
    assert reverse("jobs:cancel", args=[job.pk]) not in text
    for name in ("retry", "cancel"):
        assert viewer_client.post(reverse(f"jobs:{name}", args=[job.pk])).status_code == 404
    job.refresh_from_db()
    assert job.cancel_asked_at is None


def test_cancel_is_noted_and_said(operator_client):
    job = JobFactory(running=True)
    operator_client.post(reverse("jobs:cancel", args=[job.pk]))
    assert "Cancelling was asked for" in page(operator_client, "job", job.pk)


def test_a_queued_job_says_when_no_worker_runs(operator_client):
    job = JobFactory()
    assert "No worker is running" in page(operator_client, "job", job.pk)
    from servers.jobs import presence

    presence.note()
    assert "No worker is running" not in page(operator_client, "job", job.pk)


def test_the_list_filters_by_state_action_and_server(operator_client):
    failed = JobFactory(failed=True, server__name="alpha")
    JobFactory(succeeded=True, server__name="beta", action="toy.look")
    for query in ("?state=failed", "?action=toy.set", f"?server={failed.server_id}", "?q=alp"):
        rows = page(operator_client, "list", query=query).split("<tbody")[1].split("</tbody")[0]
        assert "alpha" in rows, query
        assert "beta" not in rows, query


def test_a_batch_groups_causes_and_retries_what_failed(operator_client):
    batch = BatchFactory()
    for _ in range(3):
        JobFactory(batch=batch, failed=True)
    JobFactory(batch=batch, succeeded=True)
    text = page(operator_client, "batch", batch.pk)
    assert "3 × The server refused the sign-in." in text
    assert "Retry failed servers (3)" in text
    answer = operator_client.post(reverse("jobs:batch-retry", args=[batch.pk]))
    again = Job.objects.exclude(batch=batch)
    assert again.count() == 3
    assert answer.headers["Location"] == reverse("jobs:batch", args=[again[0].batch_id])


def test_a_finished_batch_stops_polling(operator_client):
    batch = BatchFactory()
    job = JobFactory(batch=batch)
    page(operator_client, "batch", batch.pk, **HTMX)
    Job.objects.filter(pk=job.pk).update(status=Status.CANCELLED)
    page(operator_client, "batch", batch.pk, status=286, **HTMX)


def test_cancelling_a_batch_takes_back_what_has_not_begun(operator_client):
    batch = BatchFactory()
    running, queued = JobFactory(batch=batch, running=True), JobFactory(batch=batch)
    operator_client.post(reverse("jobs:batch-cancel", args=[batch.pk]))
    running.refresh_from_db()
    queued.refresh_from_db()
    assert (running.status, running.cancel_asked_at, queued.status) == (Status.RUNNING, None, Status.CANCELLED)


@pytest.mark.parametrize("name", ["list", "batch", "job", "live"])
def test_a_page_costs_the_same_for_few_rows_and_for_many(operator_client, name):
    batch = BatchFactory()
    job = JobFactory(batch=batch, running=True)

    def cost():
        args = {"list": [], "batch": [batch.pk]}.get(name, [job.pk])
        page(operator_client, name, *args)  # the first visit of a session notes it
        with CaptureQueriesContext(connection) as queries:
            page(operator_client, name, *args)
        return len(queries)

    JobLineFactory(step=JobStepFactory(job=job, position=1), number=1)
    JobFactory(server=job.server, succeeded=True)
    JobFactory(batch=batch, failed=True)
    few = cost()
    for number in range(2, 20):
        JobLineFactory(step=JobStepFactory(job=job, position=number), number=number)
        JobFactory(batch=batch, failed=True)
        JobFactory(server=job.server, failed=True)
    assert cost() == few <= 16


def test_times_are_told_apart_from_durations(operator_client):
    start = timezone.now() - timedelta(seconds=75)
    job = JobFactory(succeeded=True, started_at=start)
    assert "1 min 15 s" in page(operator_client, "job", job.pk)
