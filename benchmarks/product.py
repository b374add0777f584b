"""The panel as its users run it: `manage.py up`, asked through its own verbs, timed by the rows it writes."""

import os
import shutil
import tempfile
import time
from datetime import datetime
from pathlib import Path

from benchmarks import meter
from tests.fleet.fleet import ACCOUNT, Fleet
from tests.fleet.server import FleetServer
from tests.panel import Panel, PanelError

SENDER = "bench@example.org"
RECIPIENT = "inbox@provider.test"
OTHER_LOGIN, OTHER_PASSWORD = "bench@example.org", "an0ther pass:w\\ord"
POLL = 0.1  # seconds between looks at the batch; its own times are what counts


class Product:
    """One running panel that knows every server of the fleet, and the two accounts "a" and "b"."""

    def __init__(self, fleet: Fleet):
        self.fleet = fleet
        self.folder = Path(tempfile.mkdtemp(prefix="fleetpost-bench-"))
        with meter.inside(meter.group(fleet.label, "control-fleetpost")):
            self.panel = Panel(self.folder / "var")
        try:
            self.panel.wait_until_up()
            self._enrol()
        except BaseException:
            self.close()
            raise

    def _enrol(self) -> None:
        _use_database(self.panel)
        from servers import inventory, sshkeys, trust
        from servers.remote.host import PinnedKey
        from servers.remote.secret import Secret

        key = sshkeys.own_key(Secret(self.fleet.key.private), by="bench")
        self.rows = {}
        for server in self.fleet.servers:
            row = inventory.add(by="bench", name=server.name, address=str(server.address), ssh_key=key)
            kind, body = server.host_key.public.split()[:2]
            trust.offer_host_keys(row, [PinnedKey(kind, body)])
            trust.pin_host_key(row, server.fingerprint, by="bench")
            self.rows[server.name] = row
        self.accounts = {"a": self._account(ACCOUNT.login, ACCOUNT.password)}
        self.fleet.provider.add_user(OTHER_LOGIN, OTHER_PASSWORD, ["@example.org"])
        self.accounts["b"] = self._account(OTHER_LOGIN, OTHER_PASSWORD)

    def _account(self, login: str, password: str):
        from gateway import smarthosts
        from gateway.values import Values
        from servers.remote.secret import Secret

        new = Values(
            host=self.fleet.provider.host,
            port=587,
            tls="starttls",
            username=login,
            password=Secret(password),
            sending_domain="example.org",
        )
        return smarthosts.create(f"provider {login}", new, by=None)

    def reach(self, places: dict[str, tuple[str, int]]) -> None:
        """From here on the panel dials these addresses."""
        for name, (address, port) in places.items():
            type(self.rows[name]).objects.filter(pk=self.rows[name].pk).update(address=address, port=port)

    def install(self, servers: list[FleetServer], account: str) -> float:
        from gateway import gateways

        rows = self._fresh(servers)
        return self._timed(lambda: gateways.ask("gateway.install", rows, self.accounts[account], by=None))

    def test(self, servers: list[FleetServer]) -> float:
        from servers.jobs import launch

        options = {"recipient": RECIPIENT, "mail": {"sender": SENDER, "subject": "", "body": "", "html": False}}
        rows = self._fresh(servers)
        return self._timed(lambda: launch.launch("gateway.test", rows, by="bench", options=options))

    def diagnose(self, server: FleetServer, status: str = ""):
        """The job of a diagnosis of what is in force there. Raises PanelError when it ended in another status."""
        from servers.jobs import launch

        batch = launch.launch("gateway.diagnose", self._fresh([server]), by="bench", options={})
        self._wait(batch)
        job = batch.jobs.get()
        if status not in ("", job.status):
            raise PanelError(f"{job.server}: {job.outcome}")
        return job

    def forget(self, servers: list[FleetServer], account: str) -> None:
        """What the panel believes about servers that were put into another state behind its back."""
        from gateway.models import Gateway

        for row in self._fresh(servers):
            wanted = self.accounts[account]
            Gateway.objects.filter(server=row).update(wanted=wanted, applied=wanted, applied_revision=wanted.revision)

    def _fresh(self, servers: list[FleetServer]) -> list:
        model = type(next(iter(self.rows.values())))
        return list(model.objects.filter(pk__in=[self.rows[server.name].pk for server in servers]))

    def _timed(self, ask) -> float:
        """Seconds from asking to the last job's end. Raises PanelError when one did not succeed."""
        began = time.time()
        batch = ask()
        self._wait(batch)
        jobs = list(batch.jobs.select_related("server"))
        failed = [f"{job.server}: {job.outcome}" for job in jobs if job.status != "succeeded"]
        if failed:
            raise PanelError("; ".join(failed[:3]))
        last: datetime = max(job.finished_at for job in jobs)
        return last.timestamp() - began

    def _wait(self, batch) -> None:
        end = time.monotonic() + 900
        while batch.jobs.live().exists():
            time.sleep(POLL)
            if time.monotonic() > end:
                raise PanelError("the batch did not end within 15 minutes")

    def close(self) -> None:
        self.panel.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _use_database(panel: Panel) -> None:
    """This process asks as the command line does: the same settings, the same database, the same broker."""
    for name in [name for name in os.environ if name.startswith(("FLEETPOST_", "DJANGO_"))]:
        del os.environ[name]
    os.environ |= {name: value for name, value in panel.environment.items() if name.startswith("FLEETPOST_")}
    os.environ["DJANGO_SETTINGS_MODULE"] = "controlpanel.settings"
    import django

    django.setup()
