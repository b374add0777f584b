"""`python -m tests.browser.pictures OUTDIR`: every page a person meets, wide and on a phone, light and dark.

Boots a small fleet and a panel, walks through the main job in Chromium, and takes everything down again."""

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser.conftest import AXE, BUSY, CHROMIUM, PASSWORD
from tests.fleet.fleet import ACCOUNT, Fleet
from tests.fleet.host import FleetError
from tests.panel import Panel, PanelError

SIZES = {"1440": {"width": 1440, "height": 900}, "390": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
DISTROS = ["debian12", "ubuntu2404", "debian12"]
LAUNCH = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
SETTLING = 350  # ms: buttons fade from one colour scheme to the other
SENDER, INBOX = "shop@example.org", "inbox@provider.test"


class Camera:
    """Takes NAME-SCHEME-WIDTH.png of the page as it stands, and notes what axe-core and a ruler find on it."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder, self.troubles = page, folder, []
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str, *, moving: bool = False) -> None:
        """moving: of a page that asks for news, as it is now."""
        if not moving:
            expect(self.page.locator(BUSY)).to_have_count(0, timeout=60_000)
        for width, size in SIZES.items():
            self.page.set_viewport_size(size)
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                # The window grows to the page, so that what is fixed to it stands where a person sees it.
                self.page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
                height = self.page.evaluate("document.querySelector('body').scrollHeight")
                self.page.set_viewport_size({**size, "height": max(height, size["height"])})
                self.page.wait_for_timeout(SETTLING)
                self.page.screenshot(path=self.folder / f"{name}-{scheme}-{width}.png")
                if not moving:
                    self.measure(f"{name}-{scheme}-{width}")
        self.page.set_viewport_size(SIZES["1440"])
        self.page.emulate_media(color_scheme="light")
        print(name, flush=True)

    def measure(self, name: str) -> None:
        self.page.evaluate(AXE)
        found = self.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        self.troubles += [f"{name}: {v['id']}: {node['target']}" for v in found for node in v["nodes"]]
        over = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        self.troubles += [f"{name}: scrolls sideways by {over} px"] * (over > 0)


class Walk:
    """The way through the panel, in the order a person goes it."""

    def __init__(self, page: Page, panel: Panel, fleet: Fleet, camera: Camera) -> None:
        self.page, self.panel, self.fleet, self.take = page, panel, fleet, camera.take
        self.working, self.needing, self.bare = fleet.servers

    def all(self) -> None:
        self.enter()
        self.empty_pages()
        self.add_server()
        self.enrol_the_others()
        self.install()
        self.test_emails()
        self.trouble()
        self.lists()
        self.settings()
        self.dangerous_pages()

    def go(self, path: str) -> None:
        self.page.goto(self.panel.url + path)

    def follow(self, target: Locator) -> None:
        """Clicks what leads to another page, and is there."""
        with self.page.expect_navigation():
            target.first.click()

    def press(self, name: str) -> None:
        self.follow(self.page.get_by_role("button", name=name))

    def server(self, name: str, tab: str = "") -> None:
        self.go(f"/servers/?q={name}")
        self.follow(self.page.get_by_role("link", name=name))
        if tab:
            self.follow(self.page.get_by_label(name, exact=True).get_by_role("link", name=tab))

    def enter(self) -> None:
        self.go("/accounts/login/")
        self.take("sign-in")
        self.page.locator("[name=login]").fill("anna@example.org")
        self.page.locator("[name=password]").fill("not the password")
        self.press("Sign in")
        self.take("sign-in-refused")
        self.page.goto(self.panel.sign_in_link())
        self.take("sign-in-link")
        self.press("Sign in")
        self.take("choose-password")
        for name, value in (("email", "anna@example.org"), ("password1", PASSWORD), ("password2", PASSWORD)):
            self.page.locator(f"[name={name}]").fill(value)
        self.press("Save password")
        expect(self.page.get_by_role("heading", name="Dashboard")).to_be_visible()
        self.take("dashboard-empty")

    def empty_pages(self) -> None:
        for name, path in {"servers": "/servers/", "jobs": "/jobs/", "providers": "/settings/gateway/"}.items():
            self.go(path)
            self.take(f"{name}-empty")

    def add_server(self) -> None:
        self.go("/servers/add/")
        self.take("add-server-1-where")
        self.page.locator("[name=name]").fill("-web")
        self.press("Read its host key")
        self.take("add-server-1-refused")
        self.page.locator("[name=name]").fill(self.working.name)
        self.page.locator("[name=address]").fill(str(self.working.address))
        self.press("Read its host key")
        expect(self.page.get_by_text(self.working.fingerprint).first).to_be_visible(timeout=30_000)
        self.take("add-server-2-trust")
        self.press("accept this key")
        expect(self.page.get_by_role("button", name="Sign in and check")).to_be_visible()
        self.take("add-server-3-sign-in")
        self.press("Sign in and check")
        expect(self.page.get_by_role("button", name="Sign in and check")).to_be_visible(timeout=60_000)
        self.take("add-server-3-failed")
        line = re.search(r"ssh-ed25519 [^\s']+", self.page.locator("main").inner_text()).group(0)
        self.working.authorize(line)
        self.press("Sign in and check")
        expect(self.page.get_by_text(f"{self.working.name} is ready")).to_be_visible(timeout=60_000)
        self.take("add-server-4-ready")

    def enrol_the_others(self) -> None:
        for server in (self.needing, self.bare):
            server.authorize(self.fleet.key.public)
            self.panel.manage(
                *("fleet", "add", server.name, str(server.address), "--key", str(server.key_file)),
                *("--host-key", server.fingerprint, "--tag", "shop"),
            )
        self.panel.manage("fleet", "check", "--all", "--wait")
        self.provider("Main provider", ACCOUNT.password, "--default")
        self.provider("Old account", "no longer valid")
        self.go("/")
        self.take("dashboard-steps")

    def provider(self, name: str, password: str, *more: str) -> None:
        self.panel.manage(
            *("smarthost", "add", name, "--preset", "generic", "--host", self.fleet.provider.host, "--port", "587"),
            *("--username", ACCOUNT.login, "--sending-domain", "example.org", "--password-stdin", *more),
            typed=password + "\n",
        )

    def install(self) -> None:
        self.server(self.working.name)
        self.take("server-overview")
        self.server(self.working.name, "Services")
        self.take("services-not-installed")
        self.page.get_by_role("link", name="Load defaults").click()
        expect(self.page.locator("[name=host]")).to_have_value(self.fleet.provider.host)
        self.take("services-defaults-loaded")
        services = self.page.url.partition("?")[0].partition("#")[0]
        self.press("Preview changes")
        expect(self.page.get_by_text(re.compile(r"\d+ steps?, ")).first).to_be_visible(timeout=60_000)
        self.take("preview")
        self.page.goto(services)
        self.press("Install email gateway")
        expect(self.page.locator(".job-step-running")).to_be_visible(timeout=60_000)
        self.page.wait_for_timeout(2500)
        self.take("job-running", moving=True)
        expect(self.page.get_by_text("Succeeded").first).to_be_visible(timeout=180_000)
        self.take("job-succeeded")

    def test_emails(self) -> None:
        self.server(self.working.name, "Services")
        self.take("services-installed")
        self.test_email("later@provider.test", "Deferred", r"450 ")
        self.test_email("unknown@provider.test", "Bounced", r"550 ")
        self.test_email(INBOX, "accepted", r"250 ")
        self.page.reload()
        self.take("services-test-accepted")

    def test_email(self, recipient: str, name: str, reply: str) -> None:
        self.page.locator("[name=sender]").fill(SENDER)
        self.page.locator("[name=recipient]").fill(recipient)
        self.page.get_by_role("button", name="Send test email").click()
        result = self.page.locator("#gateway-tested")
        expect(result.get_by_text(re.compile(reply)).first).to_be_visible(timeout=90_000)
        self.take(f"services-test-{name.lower()}-at-once")

    def trouble(self) -> None:
        """On the second server a wrong password, then a change by hand; on the third another mail system."""
        self.panel.manage("gateway", "install", self.needing.name, "--smarthost", "Old account", "--wait", codes=(1,))
        self.server(self.needing.name, "Services")
        self.take("services-install-failed")
        self.newest_job("job-failed")
        names = (self.working.name, self.needing.name)
        self.panel.manage("gateway", "install", self.needing.name, "--smarthost", "Main provider", "--wait")
        self.panel.manage("gateway", "test", *names, "--from", SENDER, "--to", INBOX, "--wait")
        self.needing.run(["postconf", "-e", "relayhost = [old.example.org]:25"])
        self.panel.manage("gateway", "check", *names, "--wait", codes=(1,))
        self.newest_job("job-check-failed")
        self.follow(self.page.get_by_role("link", name=re.compile("Batch|batch")))
        self.take("batch")
        self.service_page(self.needing.name, "drift/")
        self.take("drift")
        self.working.drop(587, "out")
        self.panel.manage("gateway", "diagnose", *names, "--wait", codes=(1,))
        self.working.unblock()
        self.newest_job("job-diagnose-failed")
        self.follow(self.page.get_by_role("link", name=re.compile("Batch|batch")))
        self.take("batch-diagnoses")
        self.server(self.working.name, "Services")
        self.follow(self.page.get_by_role("link", name="Stages, ports and conversation"))
        self.take("diagnosis")
        self.panel.manage("gateway", "reinstall", self.needing.name, "--smarthost", "Old account", "--wait", codes=(1,))
        self.server(self.needing.name, "Services")
        self.take("services-needs-you")

    def service_page(self, name: str, path: str) -> None:
        self.server(name, "Services")
        self.page.goto(self.page.url.partition("?")[0] + f"gateway/{path}")

    def newest_job(self, name: str) -> None:
        self.go("/jobs/?state=failed")
        self.follow(self.page.locator("[data-row-link]"))
        self.take(name)

    def lists(self) -> None:
        pages = {
            "dashboard": "/",
            "servers": "/servers/",
            "servers-filtered-to-nothing": "/servers/?q=nothing-like-it",
            "servers-needing": "/servers/?state=needs-you",
            "jobs": "/jobs/",
            "batches": "/jobs/batches/",
            "import": "/servers/import/",
            "domains": "/domains/",
            "alerts": "/alerts/",
            "alert-settings": "/settings/alerts/",
            "ssh-keys": "/settings/keys/",
            "audit": "/settings/audit/",
            "people": "/settings/people/",
            "invite": "/settings/people/invite/",
            "profile": "/profile/",
            "second-factor": "/accounts/2fa/",
            "second-factor-app": "/accounts/2fa/totp/activate/",
            "passkeys": "/accounts/2fa/webauthn/",
            "sessions": "/accounts/sessions/",
            "not-found": "/no/such/page/",
        }
        for name, path in pages.items():
            self.go(path)
            if self.page.get_by_role("heading", name="Confirm it is you").count():
                self.take("confirm-it-is-you")
                self.page.locator("[name=password]").fill(PASSWORD)
                self.press("Confirm")
            self.take(name)
        self.go("/settings/people/invite/")
        self.page.locator("[name=email]").fill("nia@example.org")
        self.press("Make sign-in link")
        self.take("invited")

    def settings(self) -> None:
        self.go("/settings/gateway/")
        self.take("providers")
        for preset in ("generic", "sendgrid", "ses"):
            self.go(f"/settings/gateway/add/?preset={preset}")
            self.take(f"provider-add-{preset}")
        self.go("/settings/gateway/presets/")
        self.take("presets")
        self.go("/settings/gateway/presets/gmail/")
        self.take("preset")
        self.go("/settings/gateway/")
        self.follow(self.page.get_by_role("link", name="Main provider"))
        self.take("provider-edit")
        self.go("/settings/gateway/")
        self.follow(self.page.get_by_role("link", name=re.compile("Delete Old account")))
        self.take("provider-delete")
        self.server(self.working.name, "Jobs")
        self.take("server-jobs")
        self.server(self.working.name, "Settings")
        self.take("server-settings")

    def dangerous_pages(self) -> None:
        self.server(self.working.name, "Settings")
        settings = self.page.url
        self.follow(self.page.get_by_role("link", name="Archive"))
        self.take("archive")
        self.page.goto(settings)
        self.follow(self.page.get_by_role("link", name="Delete"))
        self.take("delete")
        self.service_page(self.working.name, "uninstall/")
        self.take("uninstall")
        self.bare.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q exim4-daemon-light")
        self.panel.manage("gateway", "install", self.bare.name, "--wait", codes=(1,))
        self.server(self.bare.name, "Services")
        self.take("services-other-mail-system")
        self.bare.replace_host_key()
        self.panel.manage("fleet", "check", self.bare.name, "--wait", codes=(0, 1))
        self.server(self.bare.name)
        self.take("server-key-changed")


def photograph(folder: Path, data: Path) -> list[str]:
    """What is wrong with the pages."""
    with Fleet("pictures", DISTROS) as fleet, sync_playwright() as playwright:
        panel = Panel(data)
        try:
            panel.wait_until_up()
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=LAUNCH)
            camera = Camera(browser.new_page(), folder)
            Walk(camera.page, panel, fleet, camera).all()
            browser.close()
        finally:
            panel.stop()
    return camera.troubles


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="OUTDIR")
    chosen = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium on this machine (Debian package: chromium)", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scratch = Path(tempfile.mkdtemp(prefix="fleetpost-pictures-"))
    began = time.monotonic()
    try:
        troubles = photograph(chosen.folder, scratch / "var")
    except (PanelError, FleetError) as problem:
        print(f"No pictures: {problem}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{len(list(chosen.folder.glob('*.png')))} pictures in {time.monotonic() - began:.0f} s")
    for trouble in troubles:
        print(trouble)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
