"""A panel as a person runs it, real servers and a real provider, and what they go through."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.console import ConsolePanel
from tests.faults.watch import Records, until
from tests.fleet.fleet import ACCOUNT, Fleet
from tests.fleet.provider import Provider
from tests.fleet.server import FleetServer
from tests.panel import Panel

PROVIDER = "Main"


@contextmanager
def panels() -> Iterator[Callable[[], ConsolePanel]]:
    """start() -> the panel of one data folder, up; again after it was stopped. All of it is gone afterwards."""
    # Short, because the path of the broker's socket has room for 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="fp-faults-"))
    started: list[ConsolePanel] = []

    def start() -> Panel:
        started.append(ConsolePanel(folder / "var", started[0].port if started else None))
        started[-1].wait_until_up()
        return started[-1]

    try:
        yield start
    finally:
        for panel in started:
            panel.stop()
        shutil.rmtree(folder, ignore_errors=True)


def add_provider(panel: Panel, provider: Provider) -> None:
    panel.manage(
        *("smarthost", "add", PROVIDER, "--host", provider.host, "--username", ACCOUNT.login, "--password-stdin"),
        *("--sending-domain", "example.org", "--default"),
        typed=ACCOUNT.password + "\n",
    )


def add_server(panel: Panel, server: FleetServer, name: str) -> str:
    panel.manage(
        *("fleet", "add", name, str(server.address), "--key", str(server.key_file)),
        *("--host-key", server.fingerprint),
    )
    return name


def ask(panel: Panel, *arguments: str) -> list[int]:
    """Asks and does not wait: the ids of the jobs."""
    return [job["id"] for job in json.loads(panel.manage(*arguments, "--json"))["jobs"]]


def do(panel: Panel, *arguments: str) -> list[dict]:
    """Asks and stays until the end: the jobs, however they ended."""
    return json.loads(panel.manage(*arguments, "--wait", "--json", codes=(0, 1)))["jobs"]


def accepted_tests(panel: Panel, provider: Provider, *names: str) -> None:
    """A test email from each server is accepted, and the provider has it."""
    jobs = do(panel, "gateway", "test", *names, "--from", "shop@example.org", "--to", "inbox@provider.test")
    assert {job["server"]: job["result"].get("delivery") for job in jobs} == dict.fromkeys(names, "sent"), jobs
    for job in jobs:
        until(lambda job=job: arrived(provider, job["result"]["queue_id"]), f"the mail of {job['server']} arrives")


def arrived(provider: Provider, queue_id: str) -> bool:
    return any(f"id {queue_id}" in " ".join(mail.get_all("Received", [])) for mail in provider.messages())


@pytest.fixture(scope="package")
def panel(fleet: Fleet) -> Iterator[ConsolePanel]:
    with panels() as start:
        running = start()
        add_provider(running, fleet.provider)
        yield running


@pytest.fixture(scope="package")
def records(panel: Panel) -> Records:
    return Records(panel.data)
