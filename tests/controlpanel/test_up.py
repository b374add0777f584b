"""`manage.py up` as a person runs it: a process, an address, a Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Panel:
    def __init__(self, data: Path):
        self.data, self.port = data, free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("FLEETPOST_", "DJANGO_"))}
        self.log = data.parent / f"{data.name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(self.port)],
                cwd=ROOT,
                env=environment | {"FLEETPOST_DATA": str(data)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def says(self, pattern: str, wait: float = 60) -> str:
        end = time.monotonic() + wait
        while time.monotonic() < end:
            found = re.search(pattern, self.log.read_text())
            if found:
                return found.group(0)
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"{pattern!r} was not said:\n{self.log.read_text()}")

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            return response.status, response.read().decode()

    def processes(self) -> set[int]:
        """Every process with this panel's data folder in its environment or, as the broker, in its title."""
        mark = str(self.data).encode()
        found = set()
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit():
                    continue
                if mark in (entry / "environ").read_bytes() or mark in (entry / "cmdline").read_bytes():
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found.add(int(entry.name))
            except OSError:
                continue
        return found

    def wait_gone(self, wait: float = 40) -> set[int]:
        end = time.monotonic() + wait
        while self.processes() and time.monotonic() < end:
            time.sleep(0.2)
        return self.processes()


@pytest.fixture
def panel(tmp_path):
    panels = []

    def start() -> Panel:
        panels.append(Panel(tmp_path / "var"))
        return panels[-1]

    yield start
    for started in panels:
        for pid in started.processes():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_up_serves_the_panel_and_ctrl_c_ends_every_process(panel):
    running = panel()
    running.says(r"Fleetpost is at http://127\.0\.0\.1:\d+")
    link = running.says(r"http://127\.0\.0\.1:\d+/\S*sign-in\S*")
    assert running.get("/healthz")[0] == 200
    status, page = running.get("/")
    assert status == 200 and "password" in page.lower()
    assert link
    assert len(running.processes()) >= 5
    os.kill(running.process.pid, signal.SIGINT)
    assert running.process.wait(60) == 0
    assert running.wait_gone() == set()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_panel_leaves_nothing_behind_and_starts_again(panel):
    running = panel()
    running.says("Fleetpost is at")
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    assert running.wait_gone() == set()
    again = panel()
    again.says("Fleetpost is at")
    assert again.get("/healthz")[0] == 200


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_part_that_dies_is_started_again(panel):
    running = panel()
    running.says("Fleetpost is at")
    [worker] = [
        pid
        for pid in running.processes()
        if b"celery" in (line := Path(f"/proc/{pid}/cmdline").read_bytes()) and b"\0worker\0" in line
    ]
    os.kill(worker, signal.SIGKILL)
    running.says("The worker ended with status -9; starting it again")
    end = time.monotonic() + 30
    while time.monotonic() < end and len(running.processes()) < 5:
        time.sleep(0.2)
    assert len(running.processes()) >= 5
