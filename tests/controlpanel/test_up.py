"""`manage.py up`: a process tree that starts whole, mends itself and ends whole."""

import os
import signal
import socket
import sys

import pytest

from tests.panel import Panel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
PARTS = 5  # supervisor, broker, worker, scheduler, web server


@pytest.fixture
def start(tmp_path):
    panels = []

    def up() -> Panel:
        panels.append(Panel(tmp_path / "var"))
        panels[-1].wait_until_up()
        return panels[-1]

    yield up
    for panel in panels:
        panel.stop()


def test_up_serves_the_panel_and_ctrl_c_ends_every_process(start):
    panel = start()
    assert panel.sign_in_link().startswith(panel.url)
    assert panel.get("/healthz")[0] == 200
    status, page = panel.get("/")
    assert status == 200 and "password" in page.lower()
    assert len(panel.processes()) >= PARTS
    os.kill(panel.process.pid, signal.SIGINT)
    assert panel.process.wait(60) == 0
    assert panel.wait_gone() == set()


def test_a_killed_panel_leaves_nothing_behind_and_starts_again(start):
    panel = start()
    os.kill(panel.process.pid, signal.SIGKILL)
    panel.process.wait()
    assert panel.wait_gone() == set()
    assert start().get("/healthz")[0] == 200


def test_a_part_that_dies_is_started_again_and_jobs_go_on(start):
    panel = start()
    panel.manage("fleet", "add", "nowhere", "127.0.0.1", "--port", "1")
    for part in ("valkey", "worker", "beat", "uvicorn"):
        killed = panel.process_of(part)
        os.kill(killed, signal.SIGKILL)
        panel.wait_for(lambda part=part, killed=killed: panel.process_of(part) != killed)
        answer = panel.manage("fleet", "check", "nowhere", "--wait", "--json", codes=(1,))
        assert '"status": "failed"' in answer, part
    panel.wait_for(lambda: panel.get("/healthz")[0] == 200)


def test_a_taken_port_is_said_and_nothing_is_started(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        panel = Panel(tmp_path / "var", other.getsockname()[1])
        assert panel.process.wait(60) == 1
        assert "cannot listen on 127.0.0.1" in panel.log.read_text()
        assert panel.processes() == set()
