"""A real browser for the pages of this folder: Debian's Chromium against Django's live server."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.factories import PASSWORD

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).resolve().parents[1] / "browser" / "vendor" / "axe.min.js"
# A part that is being replaced, or fades from one colour to another, is measured as it is at no other time.
STILL = """() => !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling")
    && document.getAnimations().every(a => a.playState !== "running" || a.effect.getTiming().iterations === Infinity)"""


class Watched:
    """A page that remembers what went wrong on it: script errors, console errors, foreign requests, server errors."""

    def __init__(self, page, base: str):
        self.page, self.base, self.trouble = page, base, []
        page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)
        page.on("response", lambda r: self.trouble.append(f"{r.status} {r.url}") if r.status >= 500 else None)

    def _console(self, message) -> None:
        # a policy violation arrives here as an error; a refused form (422) and a 404 page do as well, on purpose
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.trouble.append(f"console: {message.text}")

    def _request(self, request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.base:
            self.trouble.append(f"foreign: {request.url}")

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)

    def sign_in(self, person) -> None:
        self.open("/accounts/login/")
        self.page.fill("[name=login]", person.email)
        self.page.fill("[name=password]", PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_load_state()

    def violations(self) -> list[str]:
        """What axe-core and the eye of a ruler find: nothing, when all is well."""
        self.page.wait_for_load_state()
        self.page.wait_for_function(STILL)
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        told = [f"{v['id']}: {[node['target'] for node in v['nodes']]}" for v in found]
        return told + ([f"scrolls sideways by {wide} px"] if wide > 0 else [])


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine")
    with pytest.MonkeyPatch.context() as patch:
        # Playwright keeps an event loop in this thread, and Django would refuse its database there
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        playwright = pytest.importorskip("playwright.sync_api").sync_playwright().start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
        playwright.stop()


@pytest.fixture
def watch(chromium, live_server):
    """watch(color_scheme="dark", viewport=…) opens a fresh browser profile."""
    contexts = []

    def make(**options) -> Watched:
        contexts.append(chromium.new_context(**options))
        return Watched(contexts[-1].new_page(), live_server.url)

    yield make
    for context in contexts:
        context.close()
