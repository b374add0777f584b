"""Everything remote has an end: floods, silence, stopped peers, stuck commands."""

import os
import resource
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from servers.remote import errors, ssh
from servers.remote.host import Limits
from tests.remote.onserver import odd_sleep, processes, wait_for


def test_a_silent_command_hits_its_idle_limit_and_is_ended(host):
    nap, started = odd_sleep(), time.monotonic()
    with pytest.raises(errors.Silent) as caught:
        host.run(f"echo first; {nap}; echo never", limits=Limits(total=60, idle=1))
    assert time.monotonic() - started < 6
    assert caught.value.output.stdout == b"first\n"
    assert processes(nap) == []


def test_a_chatty_command_hits_its_deadline(host):
    started = time.monotonic()
    with pytest.raises(errors.Deadline):
        host.run("while :; do echo x; sleep 0.1; done", limits=Limits(total=1.5, idle=30))
    assert time.monotonic() - started < 6


def test_a_command_that_ignores_signals_is_ended_too(host):
    nap = odd_sleep()
    with pytest.raises(errors.Silent):
        host.run(f"trap '' TERM HUP PIPE; while :; do {nap}; done", limits=Limits(total=20, idle=1))
    assert processes(nap) == []


def test_eight_megabytes_of_errors_do_not_block(host):
    output = host.run("head -c 8000000 /dev/zero >&2; echo done", limits=Limits(total=20, idle=5))
    assert output.stdout == b"done\n"
    assert output.truncated
    assert len(output.stderr) <= 1_000_000 + 64


def test_a_gigabyte_on_both_streams_stays_small_and_quick(host):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    script = "head -c 500000000 /dev/zero & head -c 500000000 /dev/zero >&2; wait; echo END"
    output = host.run(script, limits=Limits(total=50, idle=10))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"1 GB drained in {time.monotonic() - started:.1f} s, {grown:.0f} MB more memory")
    assert output.stdout.endswith(b"END\n")
    assert len(output.stdout) <= 1_000_000 + 64
    assert grown < 64


def test_a_large_script_and_a_flood_pass_each_other(host):
    script = "head -c 20000000 /dev/zero & head -c 3000000 /dev/zero >&2; wait; exit 5\n#" + "x" * 6_000_000
    assert host.run(script, limits=Limits(total=40, idle=10)).status == 5


class Proxy:
    """Forwards one connection until `mute` is set; then it reads nothing and forwards nothing, as a cut cable does."""

    def __init__(self, port: int):
        self.mute = threading.Event()
        self.target = port
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            target = socket.create_connection(("127.0.0.1", self.target))
            for one, other in ((client, target), (target, client)):
                threading.Thread(target=self.forward, args=(one, other), daemon=True).start()

    def forward(self, one, other):
        while not self.mute.is_set():
            one.settimeout(0.1)
            try:
                data = one.recv(65536)
            except TimeoutError:
                continue
            if not data:
                break
            other.sendall(data)
        if not self.mute.is_set():
            other.close()


def seconds_until_noticed(host, silence, script: str) -> float:
    silent = []

    def fall_silent():
        silence()
        silent.append(time.monotonic())

    threading.Timer(0.5, fall_silent).start()
    with pytest.raises(errors.LostContact, match="stopped answering"):
        host.run(script, limits=Limits(total=120, idle=120))
    return time.monotonic() - silent[0]


def test_a_silent_peer_is_noticed_within_thirty_seconds(own_sshd):
    """Three silences side by side: a stopped sshd, a link that goes dead while waiting, and one while sending."""
    stopping, behind = own_sshd(), own_sshd()
    first = ssh.connect(stopping.login())
    pids = stopping.sessions()
    proxies = Proxy(behind.port), Proxy(behind.port)
    others = [ssh.connect(behind.login(port=proxy.port)) for proxy in proxies]
    cases = [
        (first, lambda: [os.kill(pid, signal.SIGSTOP) for pid in pids], "sleep 60"),
        (others[0], proxies[0].mute.set, "sleep 60"),
        (others[1], proxies[1].mute.set, "sleep 60\n#" + "x" * 30_000_000),
    ]
    try:
        with ThreadPoolExecutor() as pool:
            noticed = list(pool.map(seconds_until_noticed, *zip(*cases, strict=True)))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    print("silence noticed after", [f"{seconds:.1f} s" for seconds in noticed])
    assert max(noticed) < 30
    closing = time.monotonic()
    for host in (first, *others):
        host.close()
    assert time.monotonic() - closing < 5


def test_a_cut_connection_is_lost_contact_at_once(own_sshd):
    daemon = own_sshd()
    with ssh.connect(daemon.login()) as host:
        threading.Timer(0.5, daemon.stop).start()
        started = time.monotonic()
        with pytest.raises(errors.LostContact):
            host.run("sleep 60")
        assert time.monotonic() - started < 5
        with pytest.raises(errors.LostContact):
            host.run("true")


def test_forty_runs_leave_no_threads_or_descriptors_behind(sshd):
    def once():
        with ssh.connect(sshd.login()) as host:
            host.run("true")

    once()
    before = (threading.active_count(), len(os.listdir("/proc/self/fd")))
    for _ in range(20):
        once()
    wait_for(lambda: threading.active_count() <= before[0] + 1)
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before[1] + 1)
