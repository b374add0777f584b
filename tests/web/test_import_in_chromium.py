"""A file of five hundred lines and seven faults, as somebody meets it who reads nothing but the page."""

import pytest
from django.core.cache import cache

from servers.models import Server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FAULTS = {
    21: ("web-020", "10.1.0.999", "", ""),
    56: ("web-055", "10.1.0.55", "220000", ""),
    102: ("web_101", "10.1.0.101", "", ""),
    151: ("web-012", "10.2.0.150", "", ""),
    201: ("web-200", "10.1.0.200", "", "bastion-9"),
    301: ("web-300", "10.1.0.16", "", ""),
    401: ('"web-400', "10.2.0.1", "", ""),
}
DROP = """text => {
  const data = new DataTransfer();
  data.items.add(new File([text], "fleet.csv", {type: "text/csv"}));
  document.querySelector(".drop-zone").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
}"""


@pytest.fixture(autouse=True)
def _no_drafts():
    cache.clear()


def five_hundred_lines() -> str:
    lines = ["Hostname;IP;SSH Port;Bastion;Root Password"]
    for line in range(2, 501):
        name, address, port, jump = FAULTS.get(line, (f"web-{line - 1:03}", f"10.1.{line // 250}.{line % 250}", "", ""))
        lines.append(f"{name};{address};{port};{jump};canary-secret")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone"])
def test_drop_look_and_add(watch, administrator, size, scheme):
    seen = watch(color_scheme=scheme, viewport=size)
    seen.sign_in(administrator)
    seen.open("/servers/")
    seen.page.click("text=Import servers")
    trouble = seen.violations()
    seen.page.evaluate(DROP, five_hundred_lines())
    seen.page.click("text=Check the file")
    seen.page.wait_for_selector("text=Add 492 servers")
    text = seen.page.inner_text("main")
    assert not Server.objects.exists()
    assert "7 lines with faults" in text
    assert "canary" not in seen.page.content()
    lines = seen.page.locator("section[aria-labelledby=faults] tbody tr td:first-child").all_inner_texts()
    assert [int(line) for line in lines] == list(FAULTS)
    trouble += seen.violations()
    seen.page.click("text=Add 492 servers")
    seen.page.wait_for_selector("text=492 servers were added")
    assert Server.objects.count() == 492
    trouble += seen.violations()
    seen.page.click("text=Show them")
    seen.page.click("text=Export 492 servers")
    seen.page.wait_for_selector("text=Download CSV")
    trouble += seen.violations()
    assert not trouble
    assert not seen.trouble
