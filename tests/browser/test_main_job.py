"""The main job by clicking, as the README tells it: from an empty panel to a test email in the provider's mailbox."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD
from tests.fleet.fleet import ACCOUNT

pytestmark = pytest.mark.fleet
SUBJECT = "First light"


def first_sign_in(page: Page, panel) -> None:
    page.goto(panel.sign_in_link())
    page.get_by_role("button", name="Sign in").click()
    page.locator("[name=email]").fill("anna@example.org")
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def add_server(page: Page, panel, server) -> None:
    page.goto(f"{panel.url}/servers/add/")
    page.locator("[name=name]").fill(server.name)
    page.locator("[name=address]").fill(str(server.address))
    page.get_by_role("button", name="Read its host key").click()
    expect(page.get_by_text(server.fingerprint).first).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="accept this key").click()
    line = re.search(r"ssh-ed25519 [^\s']+", page.locator("main").inner_text()).group(0)
    server.authorize(line)
    page.get_by_role("button", name="Sign in and check").click()
    expect(page.get_by_text(f"{server.name} is ready")).to_be_visible(timeout=60_000)


def add_provider(page: Page, panel, provider) -> None:
    page.goto(f"{panel.url}/settings/gateway/add/?preset=generic")
    page.locator("[name=name]").fill("Main provider")
    page.locator("[name=host]").fill(provider.host)
    page.locator("[name=username]").fill(ACCOUNT.login)
    page.locator("[name=password]").fill(ACCOUNT.password)
    page.locator("[name=sending_domain]").fill("example.org")
    default = page.locator("[name=default]")
    if default.count():
        default.check()
    page.get_by_role("button", name=re.compile("Add SMTP provider|Save")).last.click()
    expect(page.get_by_text("Main provider").first).to_be_visible()


def test_from_an_empty_panel_to_the_providers_mailbox(page, panel, watch, accessible, server, provider):
    provider.forget_messages()
    first_sign_in(page, panel)
    accessible()
    add_server(page, panel, server)
    accessible()
    add_provider(page, panel, provider)
    accessible()

    page.goto(f"{panel.url}/servers/")
    accessible()
    page.get_by_role("link", name=server.name).first.click()
    accessible()
    page.get_by_role("link", name="Services").click()
    page.get_by_role("link", name="Load defaults").click()
    expect(page.locator("[name=host]")).to_have_value(provider.host)
    assert ACCOUNT.password not in page.content()
    accessible()

    page.get_by_role("button", name="Preview changes").click()
    expect(page.get_by_text(re.compile(r"\d+ steps?, (no|with a) restart")).first).to_be_visible(timeout=60_000)
    expect(page.get_by_text("relayhost").first).to_be_visible()
    accessible()
    page.go_back()
    page.goto(page.url.split("/services/")[0] + "/services/?load=defaults")
    page.get_by_role("button", name="Install email gateway").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=180_000)
    accessible()

    page.get_by_role("link", name=server.name).first.click()
    page.get_by_role("link", name="Services").click()
    expect(page.get_by_text("Working").first).to_be_visible()
    page.locator("[name=sender]").fill("shop@example.org")
    page.locator("[name=recipient]").fill("inbox@provider.test")
    page.locator("[name=subject]").fill(SUBJECT)
    page.get_by_role("button", name="Send test email").click()
    result = page.locator("#gateway-tested")
    expect(result.get_by_text(re.compile("250 ")).first).to_be_visible(timeout=60_000)
    accessible()

    [mail] = provider.wait_for_messages(1)
    assert mail["Subject"] == SUBJECT
    queue_id = re.search(r"\(Postfix[^)]*\)[^;]* id (\S+)", " ".join(mail.get_all("Received"))).group(1)
    assert queue_id
    for path in ("", "jobs/", "settings/people/", "settings/audit/", "profile/", "settings/gateway/"):
        page.goto(f"{panel.url}/{path}")
        accessible()
        assert ACCOUNT.password not in page.content()


def reload_until(page: Page, text: str | re.Pattern, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not page.locator("main").get_by_text(text).count():
        assert time.monotonic() < end, f"{text} never came:\n{page.locator('main').inner_text()}"
        time.sleep(0.5)
        page.goto(page.url)


def test_the_whole_job_works_without_scripts(browser, panel, fleet, server, provider):
    """By forms and reloads alone."""
    provider.forget_messages()
    server.authorize(fleet.key.public)
    panel.manage(
        *("fleet", "add", "plain", str(server.address), "--key", str(server.key_file)),
        *("--host-key", server.fingerprint),
    )
    panel.manage(
        *("smarthost", "add", "Plain", "--preset", "generic", "--host", provider.host, "--username", ACCOUNT.login),
        *("--sending-domain", "example.org", "--password-stdin", "--default"),
        typed=ACCOUNT.password + "\n",
    )
    link = re.search(r"http\S+", panel.manage("sign_in_link", "ben@example.org", "--role", "administrator")).group(0)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()

    page.goto(f"{panel.url}/servers/")
    page.get_by_role("link", name="plain").first.click()
    page.get_by_role("link", name="Services").click()
    services = page.url
    page.get_by_role("link", name="Load defaults").click()
    page.get_by_role("button", name="Install email gateway").click()
    reload_until(page, "Succeeded")
    page.goto(services)
    page.locator("[name=sender]").fill("shop@example.org")
    page.locator("[name=recipient]").fill("inbox@provider.test")
    page.get_by_role("button", name="Send test email").click()
    reload_until(page, re.compile(r"250 2\.0\.0"))
    context.close()
    assert len(provider.wait_for_messages(1)) == 1
