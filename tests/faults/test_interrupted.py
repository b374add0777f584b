"""What happens to an install when the worker, the broker, the line or the whole panel goes away in the middle of it.

Most of such a test is waiting for leases and time-outs, so the three stories run side by side, each with a panel and
servers of its own, and each test tells how one of them ended.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import redis

from tests.faults import hold
from tests.faults.conftest import accepted_tests, add_provider, add_server, ask, panels
from tests.faults.look import done_once, sessions
from tests.faults.watch import Records, Witness, journals, until
from tests.fleet.provider import Provider
from tests.fleet.server import FleetServer
from tests.panel import Panel

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module")
def stories(request, fleet, pool):
    """The stories whose tests were chosen, all begun."""
    fleet.provider.restore()
    asked_for = {item.originalname for item in request.session.items if item.module is request.module}
    with ThreadPoolExecutor() as threads, ExitStack() as lent:
        begun = {}
        for test, (story, distros) in STORIES.items():
            if test in asked_for:
                servers = [lent.enter_context(pool.lend(distro)) for distro in distros]
                begun[test] = threads.submit(story, fleet.provider, *servers)
        yield begun


def test_a_killed_worker_and_a_wiped_broker(stories):
    told(stories, "test_a_killed_worker_and_a_wiped_broker")


def test_a_cut_line(stories):
    told(stories, "test_a_cut_line")


def test_a_panel_stopped_and_started(stories):
    told(stories, "test_a_panel_stopped_and_started")


def told(stories: dict[str, Future], test: str) -> None:
    stories[test].result()


def killed_worker(provider: Provider, packages: FleetServer, start: FleetServer, submitted: FleetServer) -> None:
    """kill -9 at three moments: apt at work, Postfix about to start, the script just handed over. The broker forgets
    everything in the same second, and one of the servers falls silent. Nothing is failed, lost or done twice."""
    servers = {"packages": packages, "start": start, "submitted": submitted}
    for name, server in servers.items():
        hold.arm(server, held=name)
    with panels() as begin:
        panel = begin()
        records = Records(panel.data)
        add_provider(panel, provider)
        for name, server in servers.items():
            add_server(panel, server, name)
        with Witness(panel, servers) as witness:
            jobs = dict(zip(("packages", "start"), ask(panel, "gateway", "install", "packages", "start"), strict=True))
            hold.wait_held(packages, "packages")
            hold.wait_held(start, "start")
            worker = panel.process_of("worker")
            panel.process.send_signal(signal.SIGSTOP)  # the supervisor: nobody takes up what is asked from here on
            kill_when_submitted(panel, worker, "submitted")
            jobs["submitted"] = records.last_job("submitted")["id"]
            packages.go_silent()
            jobs["check"] = forgotten_by_the_broker(panel, "start")
            panel.process.send_signal(signal.SIGCONT)

            lost = records.wait(jobs["packages"], "lost-contact")
            until(lambda: records.job(jobs["packages"])["fence"] > 1, "another worker looks at the silent server")
            lost = records.wait(jobs["packages"], "lost-contact")
            assert lost["hint"], "a person is told what goes on"
            for name in ("start", "submitted"):
                until(lambda name=name: records.job(jobs[name])["fence"] > 1, f"{name} is taken up")
            records.wait(jobs["start"], "running")
            hold.release(start, "start")
            packages.unblock()
            records.wait(jobs["packages"], "running")
            hold.release(packages, "packages")
            for number in jobs.values():
                records.wait(number, "succeeded", "failed", "errored", "cancelled")
        assert witness.lies == []
        for name, number in jobs.items():
            assert witness.seen[number][-1] == "succeeded", (name, records.job(number))
        assert records.job(jobs["check"])["fence"] == 1
        for name, server in servers.items():
            assert records.job(jobs[name])["fence"] >= 2, f"{name} was never taken over"
            done_once(records, jobs[name], server)
        accepted_tests(panel, provider, *servers)


def kill_when_submitted(panel: Panel, worker: int, name: str) -> None:
    """kill -9 of the worker the moment its row says that the script is on its way to the server."""
    records, killed = Records(panel.data), threading.Event()

    def lurk() -> None:
        until(lambda: (row := records.last_job(name)) and row["submitted_at"], f"{name} is submitted")
        os.kill(worker, signal.SIGKILL)
        killed.set()

    lurker = threading.Thread(target=lurk)
    lurker.start()
    ask(panel, "gateway", "install", name)
    lurker.join()
    assert killed.is_set()


def forgotten_by_the_broker(panel: Panel, name: str) -> int:
    """The id of a job whose bell the broker forgot before anybody heard it."""
    client = redis.Redis(unix_socket_path=str(panel.data / "broker" / "broker.sock"))
    (number,) = ask(panel, "fleet", "check", name)
    until(lambda: client.llen("celery"), "the bell is in the broker")
    client.flushall()
    assert client.dbsize() == 0
    client.close()
    return number


def cut_line(provider: Provider, server: FleetServer) -> None:
    """The SSH session dies; it is back at once. The line falls silent; that is noticed, and it is back when the line
    is. The script on the server goes on all the while, and is followed to its end."""
    hold.arm(server, held="packages")
    with panels() as begin:
        panel = begin()
        records = Records(panel.data)
        add_provider(panel, provider)
        add_server(panel, server, "cut")
        with Witness(panel, {"cut": server}) as witness:
            (number,) = ask(panel, "gateway", "install", "cut")
            hold.wait_held(server, "packages")
            (session,) = sessions(server)
            server.run(["kill", "-KILL", session])
            until(lambda: (now := sessions(server)) and session not in now, "a new session after the cut")

            until(lambda: connected(server), "the panel is connected")
            server.go_silent()
            silent = time.monotonic()
            until(lambda: not connected(server), "the panel notices the silence")
            assert time.monotonic() - silent < 45  # 30 s on a machine with nothing else to do
            before = sessions(server)
            server.unblock()
            until(lambda: set(sessions(server)) - set(before), "a new session after the silence")
            assert records.job(number)["status"] in ("running", "lost-contact")
            hold.release(server, "packages")
            records.wait(number, "succeeded", "failed", "errored", "cancelled")
        assert witness.lies == []
        assert witness.seen[number][-1] == "succeeded", records.job(number)
        done_once(records, number, server)
        accepted_tests(panel, provider, "cut")


def connected(server: FleetServer) -> bool:
    """Whether this machine holds an SSH connection to the server."""
    command = ["ss", "-Htn", "state", "established", "dst", f"{server.address}:22"]
    return bool(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def stopped_panel(provider: Provider, server: FleetServer) -> None:
    """Ctrl-C in the middle of an install, then `up` again: the server went on by itself, and the job ends as it did."""
    hold.arm(server, held="packages")
    with panels() as begin:
        panel = begin()
        records = Records(panel.data)
        add_provider(panel, provider)
        add_server(panel, server, "resumed")
        with Witness(panel, {"resumed": server}) as witness:
            (number,) = ask(panel, "gateway", "install", "resumed")
            hold.wait_held(server, "packages")
            panel.leave_console()
            panel.process.send_signal(signal.SIGTERM)
            assert panel.process.wait(120) == 0
            assert panel.wait_gone() == set()
            assert records.job(number)["status"] in ("running", "lost-contact")
            assert not any(line.startswith("done ") for lines in journals(server) for line in lines)
            panel = begin()
            until(lambda: records.job(number)["fence"] > 1, "the new worker takes the job up")
            hold.release(server, "packages")
            records.wait(number, "succeeded", "failed", "errored", "cancelled")
        assert witness.lies == []
        assert witness.seen[number][-1] == "succeeded", records.job(number)
        done_once(records, number, server)
        accepted_tests(panel, provider, "resumed")


Story = Callable[..., None]
STORIES: dict[str, tuple[Story, list[str]]] = {
    "test_a_killed_worker_and_a_wiped_broker": (killed_worker, ["debian12", "debian12", "ubuntu2404"]),
    "test_a_cut_line": (cut_line, ["debian12"]),
    "test_a_panel_stopped_and_started": (stopped_panel, ["debian12"]),
}
