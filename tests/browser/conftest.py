"""A real panel, real servers and a real Chromium. Every page a test visits is watched: script errors, refusals by the
Content-Security-Policy and requests to any other host fail the test, and `accessible` runs axe-core."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.panel import Panel

# Playwright's event loop runs in this thread, and Django takes any loop for an async view.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
BUSY = "[hx-trigger*='every 1s'], .htmx-request, .htmx-swapping, .htmx-settling"
PASSWORD = "correct horse battery staple"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine (Debian package: chromium)"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    switches = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": switches + quiet}


@dataclass
class Watch:
    """What went wrong in a browser, as it happened."""

    origin: str
    troubles: list[str] = field(default_factory=list)

    def follow(self, page) -> None:
        page.on("pageerror", lambda error: self.troubles.append(f"script error on {page.url}: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)

    def _console(self, message) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.troubles.append(f"console: {message.text} ({message.location.get('url')})")

    def _request(self, request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.troubles.append(f"request to another host: {request.url}")


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    running = Panel(tmp_path_factory.mktemp("panel") / "var")
    try:
        running.wait_until_up()
        yield running
    finally:
        running.stop()


@pytest.fixture
def watch(panel, page):
    watching = Watch(panel.url)
    watching.follow(page)
    yield watching
    assert watching.troubles == []


@pytest.fixture
def accessible(page):
    """A check of the page as it stands, in light and dark: no axe-core violation."""

    def check() -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            # A part that is replaced while axe measures it is measured in two places at once.
            expect(page.locator(BUSY)).to_have_count(0, timeout=60_000)
            page.evaluate("Promise.allSettled(document.getAnimations().map(animation => animation.finished))")
            # Evaluated in the page's world by the debugger, which the policy does not bind.
            page.evaluate(AXE)
            found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
            shown = [f"{v['id']}: {n['html'][:160]}: {n['failureSummary']}" for v in found for n in v["nodes"][:3]]
            assert shown == [], f"{page.url} in {scheme}"
        page.emulate_media(color_scheme="light")

    return check
