"""Selecting servers and asking something of them, as a person does it."""

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from servers.jobs.models import Batch, Job
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
ROWS = '[data-rows] input[name="server"]'


@pytest.fixture(autouse=True)
def _servers():
    cache.clear()
    for number in range(60):
        reach = "failed" if number % 10 == 0 else "ok"
        factories.ServerFactory(name=f"web-{number:02}", reach=reach, tags=["even" if number % 2 == 0 else "odd"])


def selected(page) -> str:
    return page.inner_text("[data-selected]")


def test_boxes_ranges_pages_and_keys(watch, operator):
    seen = watch(viewport=WIDE)
    seen.sign_in(operator)
    seen.open("/servers/")
    page, bar = seen.page, seen.page.locator("#selection")
    boxes = page.locator(ROWS)
    expect(bar).to_be_hidden()
    top = boxes.nth(5).bounding_box()
    boxes.nth(2).click()
    assert boxes.nth(5).bounding_box() == top, "nothing moves when the bar opens"
    boxes.nth(5).click(modifiers=["Shift"])
    assert selected(page) == "4 selected"
    page.locator("[data-row-link]").nth(7).focus()
    page.keyboard.press("x")
    assert selected(page) == "5 selected"
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**page=2**")
    boxes.nth(0).click()
    assert selected(page) == "6 selected"
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url("**page=1")
    expect(page.locator(f"{ROWS}:checked")).to_have_count(5)
    assert selected(page) == "6 selected"
    page.locator("[data-tick-page]").click()
    assert selected(page) == "51 selected"
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    expect(page.locator(f"{ROWS}:checked")).to_have_count(0)
    assert not seen.trouble


def test_another_filter_ends_the_selection(watch, operator):
    seen = watch(viewport=WIDE)
    seen.sign_in(operator)
    seen.open("/servers/")
    seen.page.locator(ROWS).nth(1).click()
    seen.page.select_option("[name=tag]", "even")
    expect(seen.page.locator(ROWS)).to_have_count(30)
    expect(seen.page.locator("#selection")).to_be_hidden()
    seen.page.locator(ROWS).nth(1).click()
    assert seen.page.inner_text("[data-select-all]") == "Select all 30"
    assert not seen.trouble


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_all_that_match_are_asked_confirmed_and_followed(watch, operator, size, scheme):
    seen = watch(viewport=size, color_scheme=scheme)
    seen.sign_in(operator)
    seen.open("/servers/?tag=even")
    page = seen.page
    page.locator(ROWS).nth(0).click()
    page.locator("[data-select-all]").click()
    assert selected(page) == "All 30 selected"
    assert not seen.violations()
    if size == PHONE:
        page.locator("#selection").get_by_role("button", name="Actions").click()
    page.locator("#selection").get_by_role("button", name="Check connection").locator("visible=true").click()
    page.wait_for_url("**/servers/bulk/server/check/")
    page.locator(".bulk-how > summary").click()
    page.fill("[name=how-canary]", "2")
    assert not seen.violations()
    page.get_by_role("button", name="Check connection of 30 servers").click()
    page.wait_for_url("**/jobs/batches/**")
    assert Batch.objects.get().canary == 2
    assert Job.objects.count() == 30
    assert not seen.trouble


def test_the_count_follows_what_is_ticked(watch, administrator):
    factories.SmarthostFactory(is_default=True)
    seen = watch(viewport=WIDE)
    seen.sign_in(administrator)
    seen.open("/servers/bulk/gateway/preview/?which=all&query=")
    page = seen.page
    page.get_by_role("button", name="Preview changes on 54 servers").wait_for()
    page.get_by_label("Try those whose last check failed").check()
    page.get_by_role("button", name="Preview changes on 60 servers").wait_for()
    page.get_by_role("button", name="Preview changes on 60 servers").click()
    page.wait_for_url("**/jobs/batches/**")
    assert Job.objects.count() == 60
    assert not seen.trouble


def test_without_javascript_the_boxes_of_a_page_and_all_that_match_work(watch, operator):
    seen = watch(viewport=WIDE, java_script_enabled=False)
    seen.sign_in(operator)
    for which, count in ((None, 2), ("all", 30)):
        seen.open("/servers/?tag=odd")
        seen.page.locator(ROWS).nth(0).check()
        seen.page.locator(ROWS).nth(3).check()
        if which:
            seen.page.check('#selection [name="which"][value="all"]')
        seen.page.locator("#selection").get_by_role("button", name="Check connection").first.click()
        seen.page.get_by_role("button", name=f"Check connection of {count} servers").wait_for()
    assert not Job.objects.exists()


def test_a_search_is_saved_and_opened_again(watch, viewer):
    seen = watch(viewport=WIDE)
    seen.sign_in(viewer)
    seen.open("/servers/")
    seen.page.fill("[name=q]", "web-1")
    expect(seen.page.locator("[data-rows] > tr")).to_have_count(10)
    seen.page.get_by_role("button", name="Saved filters").click()
    seen.page.get_by_label("Name of this filter").fill("The tens")
    assert not seen.violations()
    seen.page.get_by_role("button", name="Save filter").click()
    seen.page.wait_for_url("**/servers/?q=web-1")
    seen.open("/servers/")
    seen.page.get_by_role("button", name="Saved filters").click()
    seen.page.get_by_role("link", name="The tens").click()
    expect(seen.page.locator("[data-rows] > tr")).to_have_count(10)
    assert not seen.trouble


def test_a_time_is_told_in_the_viewers_own_zone(watch, operator):
    seen = watch(viewport=WIDE, timezone_id="Asia/Kolkata", locale="en-GB")
    seen.sign_in(operator)
    seen.open("/servers/bulk/server/check/?which=all&query=")
    seen.page.locator(".bulk-how > summary").click()
    seen.page.fill("[name=how-start_at]", "2099-01-02T02:00")
    expect(seen.page.get_by_text("2 Jan 2099, 07:30 in Asia/")).to_be_visible()
    assert not seen.trouble
