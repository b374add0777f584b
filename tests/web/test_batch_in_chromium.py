"""A batch is followed in a browser: nothing moves under the cursor, and the page stops asking when all is over."""

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import expect

from servers.jobs import pauses
from servers.jobs.models import Batch, Job, Status
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def _fresh_counters():
    cache.clear()


@pytest.fixture
def batch(administrator):
    """Forty servers, every state among them."""
    made = factories.BatchFactory(action="gateway.check", asked_by=administrator, canary=2, portion=20)
    traits = [{"succeeded": True}, {"failed": True}, {"running": True}, {}, {"lost": True}, {"failed": True}]
    for number in range(42):
        job = factories.JobFactory(
            batch=made, action=made.action, rank=1, server__name=f"srv-{number:02}", **traits[number % len(traits)]
        )
        if job.status == Status.RUNNING:
            factories.JobStepFactory(job=job, title="Look at the server")
    Job.objects.filter(server__name__in=["srv-05", "srv-11"]).update(cause="connect-timeout", outcome="No answer.")
    Job.objects.filter(server__name="srv-17").update(status=Status.CANCELLED, cause="busy", outcome="Skipped.")
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_pages_of_batches_are_accessible(watch, administrator, batch, size, scheme):
    Batch.objects.filter(pk=batch.pk).update(stopped_at=timezone.now(), stopped_reason="3 servers failed.")
    pauses.pause(by=administrator)
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    trouble = {}
    for path in (f"/jobs/batches/{batch.pk}/", "/jobs/batches/", "/jobs/", "/jobs/pause/"):
        seen.open(path)
        trouble[path] = seen.violations()
    assert not {path: found for path, found in trouble.items() if found}
    assert not seen.trouble


def test_a_live_batch_keeps_focus_scroll_selection_and_filter_and_stops_asking(watch, administrator, batch):
    seen = watch(viewport=WIDE)
    page = seen.page
    page.clock.install()
    seen.sign_in(administrator)
    seen.open(f"/jobs/batches/{batch.pk}/?state=running")
    assert page.locator("[data-rows] > tr").count() == 7
    page.get_by_role("link", name="srv-38").focus()
    scrolled = page.evaluate("window.scrollTo({top: 100, behavior: 'instant'}), window.scrollY")
    moved = Job.objects.get(server__name="srv-02")
    Job.objects.filter(pk=moved.pk).update(status=Status.SUCCEEDED, changed=True, finished_at=timezone.now())
    page.clock.run_for(2_100)
    expect(page.locator("[data-rows] > tr")).to_have_count(6)
    expect(page.locator("#listing-count")).to_contain_text("6")
    expect(page.locator("#count-succeeded-changed .job-count")).to_have_text("8")
    assert page.evaluate("document.activeElement.textContent") == "srv-38"
    assert page.evaluate("window.scrollY") == pytest.approx(scrolled, abs=20)  # the browser's own anchoring
    seen.open(f"/jobs/batches/{batch.pk}/?state=succeeded-changed")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.job-row-outcome'))")
    Job.objects.filter(server__name="srv-08").update(status=Status.FAILED, outcome="No.", finished_at=timezone.now())
    page.clock.run_for(10_100)
    assert page.evaluate("getSelection().toString()") == "Set."
    page.evaluate("getSelection().removeAllRanges()")
    page.clock.run_for(2_100)
    expect(page.locator("#count-running .job-count")).to_have_text("5")
    Job.objects.live().update(status=Status.CANCELLED, cause="cancelled", finished_at=timezone.now())
    page.clock.run_for(2_100)
    expect(page.locator("[hx-trigger='every 2s']")).to_have_count(0)
    assert not seen.trouble


def test_a_search_is_typed_while_the_batch_goes_on(watch, administrator, batch):
    seen = watch(viewport=WIDE)
    page = seen.page
    page.clock.install()
    seen.sign_in(administrator)
    seen.open(f"/jobs/batches/{batch.pk}/")
    page.keyboard.press("/")
    page.keyboard.type("srv-1")
    page.clock.run_for(400)
    expect(page.locator("[data-rows] > tr")).to_have_count(10)
    Job.objects.filter(server__name="srv-02").update(status=Status.FAILED, outcome="No.", finished_at=timezone.now())
    page.clock.run_for(2_100)
    expect(page.locator("#count-running .job-count")).to_have_text("6")
    assert page.locator("[data-rows] > tr").count() == 10, "the poll asks for what is shown"
    assert page.evaluate("[document.activeElement.name, document.activeElement.value]") == ["q", "srv-1"]
    assert not seen.trouble


def test_failed_servers_are_found_by_their_cause_and_retried(watch, administrator, batch):
    seen = watch(viewport=WIDE)
    page = seen.page
    seen.sign_in(administrator)
    seen.open(f"/jobs/batches/{batch.pk}/")
    page.get_by_role("link", name="Show these 2 servers").click()
    expect(page.locator("[data-rows] > tr")).to_have_count(2)
    page.get_by_role("button", name="Retry failed servers").click()
    page.wait_for_url(f"**/jobs/batches/{batch.pk + 1}/")
    expect(page.locator("h1")).to_contain_text("14 servers")
    assert not seen.trouble
