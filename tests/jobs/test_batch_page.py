"""A batch is followed, narrowed, retried and cancelled on its page."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from servers.jobs import pauses, presence, telling
from servers.jobs.models import Batch, Job, Status
from servers.jobs.rollout import Policy
from tests.factories import (
    AdministratorFactory,
    BatchFactory,
    GatewayFactory,
    JobFactory,
    JobStepFactory,
    ServerFactory,
    SmarthostFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toys", "rings")]
HTMX = {"HX-Request": "true"}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def page(client, batch, query="", status=200, **headers):
    answer = client.get(reverse("jobs:batch", args=[batch.pk]) + query, headers=headers)
    assert answer.status_code == status
    return html.unescape(answer.content.decode())


def names(text):
    return re.findall(r"data-row-link[^>]*>([^<]+)<", text)


def refused(batch, host="smtp.example.com", **fields):
    said = f"Sign-in at {host} failed: the password is wrong."
    return JobFactory(batch=batch, failed=True, cause="wrong-password", outcome=said, **fields)


def unreached(batch, **fields):
    return JobFactory(batch=batch, failed=True, cause="connect-timeout", outcome="It did not answer.", **fields)


def test_one_dead_server_does_not_paint_the_batch_red(operator_client):
    batch = BatchFactory()
    for _ in range(3):
        JobFactory(batch=batch, succeeded=True)
    unreached(batch)
    head = page(operator_client, batch).split('role="status" class="job-outcome')[1].split("</p>")[0]
    assert "3 of 4 servers are done. 1 could not be reached." in head
    assert "state-warn" in head
    assert "state-bad" not in head


def test_every_count_leads_to_the_servers_behind_it(operator_client):
    batch = BatchFactory()
    for number, trait in enumerate(("succeeded", "failed", "running", "lost")):
        JobFactory(batch=batch, server__name=f"srv-{number}", **{trait: True})
    JobFactory(batch=batch, server__name="srv-4")
    unreached(batch, server__name="srv-5")
    text = page(operator_client, batch)
    links = dict(re.findall(r'id="count-([\w-]+)" href="[^"?]*(\?[^"#]*)#listing"', text))
    shown = {word: names(page(operator_client, batch, query)) for word, query in links.items()}
    assert shown == {
        "succeeded-changed": ["srv-0"],
        "failed": ["srv-1"],
        "unreachable": ["srv-5"],
        "lost-contact": ["srv-3"],
        "running": ["srv-2"],
        "queued": ["srv-4"],
    }
    assert 'aria-current="true"' in page(operator_client, batch, "?state=failed")


def test_one_cause_at_two_providers_is_two_incidents_and_each_leads_to_its_servers(operator_client):
    batch = BatchFactory()
    for number in range(3):
        refused(batch, server__name=f"one-{number}")
    refused(batch, "smtp.example.net", server__name="two-0")
    refused(batch, "smtp.example.net", server__name="two-1")
    JobFactory(batch=batch, succeeded=True, server__name="good-0")
    text = page(operator_client, batch)
    assert "3 × Sign-in at smtp.example.com failed" in text
    assert "2 × Sign-in at smtp.example.net failed" in text
    first, second = re.findall(r"\?(cause=\w+)#listing", text)
    assert names(page(operator_client, batch, f"?{first}")) == ["one-0", "one-1", "one-2"]
    assert names(page(operator_client, batch, f"?{second}")) == ["two-0", "two-1"]


def test_a_servers_own_name_and_address_make_no_incident_of_their_own(operator_client):
    batch = BatchFactory()
    for number in range(3):
        server = ServerFactory(name=f"srv-{number}", address=f"192.0.2.{number}")
        said = f"{server.name}: the host key of {server.address} changed."
        JobFactory(batch=batch, server=server, failed=True, cause="host-key-changed", outcome=said)
    text = page(operator_client, batch)
    assert "3 × The host key of its address changed." in text
    key = re.search(r"\?(cause=\w+)#listing", text)[1]
    assert len(names(page(operator_client, batch, f"?{key}"))) == 3


def test_an_incident_leads_to_the_place_where_it_is_mended(administrator_client):
    shared, batch = SmarthostFactory(), BatchFactory(action="gateway.install")
    for _ in range(2):
        server = GatewayFactory(wanted=shared).server
        refused(batch, action="gateway.install", server=server, result={"explanation": {"area": "credentials"}})
    text = page(administrator_client, batch)
    assert f'href="{reverse("smarthosts:edit", args=[shared.pk])}">Fix credentials</a>' in text


def test_a_running_server_tells_the_step_it_is_at(operator_client):
    batch = BatchFactory()
    job = JobFactory(batch=batch, running=True)
    JobStepFactory(job=job, title="Look at it", state="unchanged")
    JobStepFactory(job=job, title="Reload Postfix", state="running")
    text = page(operator_client, batch)
    assert "Reload Postfix" in text
    assert "Look at it" not in text


def test_a_poll_that_finds_nothing_new_is_answered_with_nothing_and_costs_little(operator_client):
    batch = BatchFactory()
    job = JobFactory(batch=batch)
    url = re.search(r'hx-get="([^"]*seen=[^"]*)"', page(operator_client, batch))[1]
    with CaptureQueriesContext(connection) as queries:
        assert operator_client.get(url, headers=HTMX).status_code == 204
    assert len(queries) <= 6
    Job.objects.filter(pk=job.pk).update(status=Status.RUNNING, fence=1, started_at=timezone.now())
    assert operator_client.get(url, headers=HTMX).status_code == 200
    Job.objects.filter(pk=job.pk).update(status=Status.SUCCEEDED, finished_at=timezone.now())
    over = operator_client.get(url, headers=HTMX)
    assert over.status_code == 286
    assert "every 2s" not in over.content.decode()


def test_a_new_step_a_wave_and_a_pause_are_news(operator_client, administrator):
    batch = BatchFactory(canary=1)
    job = JobFactory(batch=batch, running=True)
    JobFactory(batch=batch, released_at=None, wave=1)

    def seen():
        return re.search(r"seen=([\w.]+)\.\d+\"", page(operator_client, batch))[1]  # the clock left aside

    versions = [seen()]
    JobStepFactory(job=job)
    versions.append(seen())
    Batch.objects.filter(pk=batch.pk).update(wave=1)
    versions.append(seen())
    pauses.pause(by=administrator)
    versions.append(seen())
    assert len(set(versions)) == 4


def test_a_finished_row_stays_as_it_stands_in_the_page(operator_client):
    batch = BatchFactory()
    JobFactory(batch=batch, running=True), JobFactory(batch=batch, succeeded=True)
    text = page(operator_client, batch)
    assert re.search(r'<tr id="row-\d+-succeeded" hx-preserve>', text)
    assert re.search(r'<tr id="row-\d+-running">', text)


@pytest.mark.parametrize("query", ["", "?state=failed", "?sort=took", "?sort=-state", "?q=srv"])
def test_the_page_costs_the_same_for_few_servers_and_for_many(operator_client, query):
    batch = BatchFactory(canary=1, portion=20)

    def grow(count):
        for number in range(count):
            JobStepFactory(job=JobFactory(batch=batch, running=True, server__name=f"srv-{Job.objects.count()}"))
            JobFactory(batch=batch, server__name=f"srv-{Job.objects.count()}")
            refused(batch, f"smtp{number % 3}.example.com", server__name=f"srv-{Job.objects.count()}")

    def cost():
        page(operator_client, batch, query)
        with CaptureQueriesContext(connection) as queries:
            page(operator_client, batch, query)
        return len(queries)

    grow(1)
    few = cost()
    grow(25)
    assert cost() == few <= 16


def test_rows_are_searched_sorted_and_paged(operator_client):
    batch = BatchFactory()
    for number in range(60):
        JobFactory(batch=batch, succeeded=True, server__name=f"srv-{number:02}")
    assert names(page(operator_client, batch, "?q=srv-07")) == ["srv-07"]
    assert names(page(operator_client, batch, "?sort=-server"))[0] == "srv-59"
    assert names(page(operator_client, batch, "?page=2"))[-1] == "srv-59"


def test_a_test_is_shown_as_a_matrix(operator_client):
    batch = BatchFactory(action="gateway.test")
    sent = {"delivery": "sent", "reply": "250 2.0.0 queued as 4F3C", "seconds": 1.84}
    JobFactory(batch=batch, action="gateway.test", mutating=False, succeeded=True, changed=False, result=sent)
    said = {"delivery": "bounced", "reply": "550 5.7.1 not verified", "seconds": 0.9}
    JobFactory(batch=batch, action="gateway.test", mutating=False, failed=True, result=said)
    text = page(operator_client, batch)
    for expected in ("Accepted", "250 2.0.0 queued as 4F3C", "1.8", "Bounced", "550 5.7.1 not verified", "Succeeded"):
        assert expected in text
    assert "Nothing to change" not in text.split("<tbody")[1], "nobody asks a test whether it changed anything"


def test_retry_takes_what_failed_was_not_reached_was_skipped_or_cancelled_and_only_once(operator_client):
    batch = BatchFactory()
    JobFactory(batch=batch, succeeded=True)
    wanted = {refused(batch).server_id, unreached(batch).server_id}
    for cause in ("busy", "cancelled"):
        wanted.add(JobFactory(batch=batch, status=Status.CANCELLED, cause=cause).server_id)
    assert "Retry failed servers (4)" in page(operator_client, batch)
    operator_client.post(reverse("jobs:batch-retry", args=[batch.pk]))
    again = Batch.objects.exclude(pk=batch.pk).get()
    assert set(again.jobs.values_list("server", flat=True)) == wanted
    text = page(operator_client, batch)
    assert "Retry failed servers" not in text
    assert f'Asked again in <a href="{reverse("jobs:batch", args=[again.pk])}"' in text
    assert f'Asks the failed servers of <a href="{reverse("jobs:batch", args=[batch.pk])}"' in page(
        operator_client, again
    )


def test_retrying_something_dangerous_on_many_asks_first(operator_client):
    batch = BatchFactory(action="toy.remove", concurrency=3)
    for _ in range(2):
        JobFactory(batch=batch, action="toy.remove", failed=True)
    url = reverse("jobs:batch-retry", args=[batch.pk])
    assert f'href="{url}"' in page(operator_client, batch)
    asked = html.unescape(operator_client.get(url).content.decode())
    assert "Remove the note on 2 servers" in asked and "At most 3 at once." in asked
    assert Job.objects.count() == 2


def test_a_scheduled_batch_begins_early_for_who_sees_all_of_it(operator_client, customer_client):
    batch = BatchFactory(starts_at=timezone.now() + timedelta(hours=3), concurrency=1)
    mine = ServerFactory(people=[customer_client.user])
    jobs = [JobFactory(batch=batch, server=server, released_at=None) for server in (mine, ServerFactory())]
    url = reverse("jobs:batch-start", args=[batch.pk])
    assert url not in page(customer_client, batch)
    assert customer_client.post(url).status_code == 404
    assert not Job.objects.filter(released_at__isnull=False).exists()

    assert url in page(operator_client, batch)
    operator_client.post(url)
    assert list(Job.objects.filter(released_at__isnull=False)) == [jobs[0]]  # as many at once as before
    assert AuditEntry.objects.get(verb__startswith="began early").actor == operator_client.user
    assert url not in page(operator_client, batch)
    again = operator_client.post(url, follow=True)
    assert "no longer waits" in again.content.decode()


def test_a_customer_retries_and_cancels_only_their_own(customer_client):
    batch = BatchFactory()
    mine = ServerFactory(people=[customer_client.user])
    JobFactory(batch=batch, server=mine, failed=True)
    refused(batch)
    theirs = JobFactory(batch=batch)
    assert "1 server" in page(customer_client, batch)
    customer_client.post(reverse("jobs:batch-cancel", args=[batch.pk]))
    customer_client.post(reverse("jobs:batch-retry", args=[batch.pk]))
    theirs.refresh_from_db()
    assert theirs.status == Status.QUEUED
    assert [job.server for job in Job.objects.exclude(batch=batch)] == [mine]


def test_a_stopped_batch_says_why(operator_client):
    batch = BatchFactory(stop_after=3, stopped_at=timezone.now(), stopped_reason="3 servers failed.")
    JobFactory(batch=batch, status=Status.CANCELLED, cause="stopped", outcome="Skipped: the batch was stopped.")
    text = page(operator_client, batch)
    assert "3 servers failed." in text
    assert "Stops after 3 failures." in text
    assert "1 was skipped" in text


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(), ""),
        (Policy(canary=2, portion=20, stop_after=3), "First 2 servers, then 20 % at a time; stops after 3 failures."),
        (Policy(canary=1), "First server, then the rest if all succeed."),
        (Policy(portion=10, stop_percent=5), "10 % at a time; stops after 5 % failures."),
        (Policy(stop_after=1, stop_percent=5), "Stops after 1 failure or 5 % failures."),
        (Policy(concurrency=10, order="random"), "At most 10 at once; in random order."),
        (Policy(starts_at=NOON), "Begins 21 Nov, 12:00 UTC."),
    ],
)
def test_a_policy_is_told_in_words(policy, words):
    assert telling.policy(policy) == words


@pytest.mark.parametrize(
    ("batch", "job", "paused", "workers", "words"),
    [
        ({}, {"released_at": NOON}, False, True, ""),
        ({}, {"released_at": NOON}, False, False, "No worker is running."),
        ({}, {"released_at": NOON}, True, True, "All jobs are paused."),
        ({"starts_at": NOON + timedelta(hours=1)}, {}, False, True, "Scheduled for 21 Nov, 13:00 UTC."),
        ({"canary": 2}, {"wave": 1}, False, True, "Waits until the first 2 servers succeeded."),
        ({"canary": 2, "wave": 1}, {"wave": 3}, False, True, "Waits for wave 4."),
        ({"concurrency": 2}, {}, False, True, "Waits for its turn."),
        ({}, {"status": Status.RUNNING}, True, False, ""),
    ],
)
def test_a_waiting_job_says_what_it_waits_for(batch, job, paused, workers, words):
    from servers.jobs.models import Pause

    asked = Batch(**batch)
    pause = Pause() if paused else None
    assert telling.waits(Job(**job), asked, pause=pause, workers=workers, now=NOON) == words


def test_a_waiting_jobs_own_page_says_so_and_leads_to_its_batch(operator_client):
    presence.note()
    batch = BatchFactory(canary=1)
    JobFactory(batch=batch, running=True)
    job = JobFactory(batch=batch, released_at=None, wave=1)
    text = operator_client.get(reverse("jobs:job", args=[job.pk])).content.decode()
    assert "Waits until the first server succeeded." in text
    assert "1 of 2 in this batch" in text
    alone = operator_client.get(reverse("jobs:job", args=[JobFactory().pk])).content.decode()
    assert "in this batch" not in alone


def test_a_job_whose_output_was_removed_says_so(operator_client):
    job = JobFactory(succeeded=True, output_pruned_at=timezone.now())
    assert "Output of this job was removed" in operator_client.get(reverse("jobs:job", args=[job.pk])).content.decode()


def test_an_administrator_pauses_on_a_page_of_its_own_and_everybody_sees_it(administrator_client, operator_client):
    url = reverse("jobs:pause")
    assert "Jobs that are running go on to their end." in administrator_client.get(url).content.decode()
    assert pauses.current() is None
    administrator_client.post(url)
    batch = BatchFactory()
    JobFactory(batch=batch)
    for address in (reverse("jobs:list"), reverse("jobs:batches"), reverse("jobs:batch", args=[batch.pk])):
        told, theirs = (c.get(address).content.decode() for c in (administrator_client, operator_client))
        assert "Running jobs go on to their end, nothing begins." in told
        assert reverse("jobs:resume") in told
        assert str(administrator_client.user) in theirs
        assert reverse("jobs:resume") not in theirs
    assert operator_client.post(reverse("jobs:resume")).status_code == 404
    administrator_client.post(reverse("jobs:resume"))
    assert pauses.current() is None


def test_a_customer_reads_that_an_administrator_paused(customer_client):
    pauses.pause(by=AdministratorFactory(name="Secret Ada"))
    text = customer_client.get(reverse("jobs:list")).content.decode()
    assert "by an administrator" in text
    assert "Secret Ada" not in text


def test_the_list_of_batches_holds_those_of_many_servers_at_one_cost(operator_client):
    def grow():
        batch = BatchFactory()
        for _ in range(2):
            JobFactory(batch=batch, rank=1, succeeded=True)
        return batch

    def text():
        return operator_client.get(reverse("jobs:batches")).content.decode()

    single, many = JobFactory(), grow()
    assert reverse("jobs:batch", args=[many.pk]) in text()
    assert reverse("jobs:batch", args=[single.batch_id]) not in text()
    assert "All 2 servers are done." in text()
    with CaptureQueriesContext(connection) as few:
        text()
    for _ in range(10):
        grow()
    with CaptureQueriesContext(connection) as more:
        text()
    assert len(more) == len(few) <= 8


def test_a_list_row_leads_to_its_batch_when_there_are_more_of_it(operator_client):
    many, single = JobFactory(rank=1), JobFactory()
    text = operator_client.get(reverse("jobs:list")).content.decode()
    assert reverse("jobs:batch", args=[many.batch_id]) in text
    assert reverse("jobs:batch", args=[single.batch_id]) not in text
