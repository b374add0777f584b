"""Detached runs under faults: killed runners, torn journals, full disks, cut connections, watching eyes."""

import base64
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from servers.remote import detached, errors, ssh
from servers.remote.host import Limits
from servers.remote.journal import Reader
from servers.remote.plan import File, Plan
from servers.remote.secret import Secret
from tests.remote.onserver import Machine, fold, machines, odd_sleep, processes, step, wait_for
from tests.remote.sshd import PASSWORD_SECRET


@pytest.fixture
def machine(tmp_path):
    yield from machines(tmp_path)


def interrupted_run(machine, tmp_path, do: str = "sleep 600"):
    plan = Plan(
        (
            step("first", "true", f"echo first >>{tmp_path}/undone"),
            step("same", "echo ::unchanged", f"echo same >>{tmp_path}/undone"),
            step(
                "second",
                f"touch {tmp_path}/begun; {do}",
                f"echo second >>{tmp_path}/undone",
                files=(File("/x", Secret("canary-7721")),),
            ),
            step("third", f"touch {tmp_path}/third", f"echo third >>{tmp_path}/undone"),
        )
    )
    process = machine.begin(machine.text(plan))
    wait_for((tmp_path / "begun").exists)
    machine.kill_runner()
    progress = fold(process.stdout.read())
    process.wait()
    return progress


def test_a_killed_runner_is_interrupted_and_can_be_put_back(machine, tmp_path):
    nap = odd_sleep()
    progress = interrupted_run(machine, tmp_path, nap)
    assert (progress.interrupted, progress.verdict) == (True, "")
    assert machine.follow().interrupted
    assert machine.staged() == []
    recovered = machine.recover()
    assert (recovered.verdict, recovered.rolled_back, recovered.interrupted) == ("interrupted", True, False)
    assert (tmp_path / "undone").read_text() == "second\nfirst\n"
    assert recovered.steps[2].state == "interrupted"
    assert not (tmp_path / "third").exists()
    assert processes(nap) == []


@pytest.mark.parametrize("delay", [0.0, 0.008, 0.012, 0.02, 0.03])
def test_a_runner_killed_at_any_moment_leaves_no_writer_behind(machine, tmp_path, delay):
    do = f"trap '' TERM HUP; while :; do echo x >>{tmp_path}/written; sleep 0.02; done"
    process = machine.begin(machine.text(Plan((step("write", do, f"touch {tmp_path}/undone"),))))
    wait_for(machine.runners)
    time.sleep(delay)
    machine.kill_runner()
    process.stdout.read()
    process.wait()
    assert machine.submit(Plan((step("look", "true"),)), "t2", 2).verdict == "succeeded"
    written = tmp_path / "written"
    before = written.read_text() if written.exists() else ""
    time.sleep(0.2)
    assert (written.read_text() if written.exists() else "") == before


def test_recovering_twice_undoes_once(machine, tmp_path):
    interrupted_run(machine, tmp_path)
    assert machine.recover() == machine.recover()
    assert (tmp_path / "undone").read_text() == "second\nfirst\n"


def test_recovering_a_finished_run_changes_nothing(machine, tmp_path):
    done = machine.submit(Plan((step("a", "true", f"touch {tmp_path}/undone"),)))
    assert machine.recover() == done
    assert not (tmp_path / "undone").exists()


def test_the_next_run_ends_the_orphan_first(machine, tmp_path):
    interrupted_run(machine, tmp_path, f"trap '' TERM HUP; while :; do echo x >>{tmp_path}/written; sleep 0.1; done")
    assert machine.submit(Plan((step("look", "true"),)), "t2", 2).verdict == "succeeded"
    before = (tmp_path / "written").read_text()
    time.sleep(0.4)
    assert (tmp_path / "written").read_text() == before


def test_a_journal_torn_by_a_power_cut_is_read_and_recovered(machine, tmp_path):
    interrupted_run(machine, tmp_path)
    path = machine.base / "jobs/t1/journal"
    path.write_bytes(path.read_bytes() + b"out 2 half a li")
    (machine.base / "current").write_text("t1 1 another-boot\n")
    assert machine.follow().interrupted
    assert machine.recover().rolled_back


def test_another_boots_process_ids_are_left_alone(machine, tmp_path):
    innocent = subprocess.Popen(["sleep", "60"], start_new_session=True, env={**os.environ, "FLEETPOST_RUN": "t1"})
    interrupted_run(machine, tmp_path)
    (machine.base / "current").write_text(f"t1 {innocent.pid} another-boot\n")
    machine.recover()
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_a_recycled_session_id_is_left_alone(machine, tmp_path):
    innocent = subprocess.Popen(["sleep", "60"], start_new_session=True)
    interrupted_run(machine, tmp_path)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (machine.base / "current").write_text(f"t1 {innocent.pid} {boot}\n")
    machine.recover()
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_a_terminated_runner_puts_back_before_it_goes(machine, tmp_path):
    process = machine.begin(machine.text(Plan((step("a", "sleep 30", f"touch {tmp_path}/undone"),))))
    wait_for(lambda: (machine.base / "current").exists())
    for pid in machine.runners():
        os.kill(pid, signal.SIGTERM)
    progress = fold(process.stdout.read())
    process.wait()
    assert (progress.verdict, progress.rolled_back) == ("failed", True)
    assert (tmp_path / "undone").exists()


def test_a_follower_that_dies_does_not_stop_the_run(machine, tmp_path):
    process = machine.begin(machine.text(Plan((step("a", f"sleep 1; touch {tmp_path}/done"),))))
    wait_for(lambda: (machine.base / "current").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert machine.follow().verdict == "succeeded"
    assert (tmp_path / "done").exists()


def test_a_full_disk_refuses_before_anything_is_started(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        machine = Machine(small / "fleetpost")
        big = Plan((step("a", f"touch {tmp_path}/ran", files=(File("/x", b"x" * 200_000),)),))
        refused = machine.submit(big)
        assert refused.refused == "disk"
        assert "No space left" in refused.detail
        assert machine.follow().refused == "unknown"
        filling = f"head -c 1000000 /dev/zero >{small}/full || true; touch {tmp_path}/ran; false"
        progress = machine.submit(Plan((step("fill", filling, f"rm {small}/full"),)))
        assert (progress.verdict, progress.rolled_back) == ("failed", True)
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_run_survives_a_cut_connection_and_is_found_again(own_sshd, tmp_path):
    daemon, machine = own_sshd(), Machine(tmp_path / "fleetpost")
    base = str(machine.base)
    plan = Plan((step("a", "echo early"), step("b", f"{machine.hold()}; echo x >>{tmp_path}/runs; echo late")))
    reader, events = Reader(), []

    def heard(data):
        events.extend(reader.feed(data))
        if any(event.kind == "out" for event in events):
            daemon.stop()

    with ssh.connect(daemon.login()) as host, pytest.raises(errors.LostContact):
        host.run(detached.submit_script(plan, "t1", 1, "p", base=base), limits=detached.limits(plan), on_stdout=heard)
    assert [event.text for event in events if event.kind == "out"] == ["early"]
    machine.wait_held()
    machine.release()
    daemon.start()
    with ssh.connect(daemon.login()) as host:
        rest = host.run(detached.follow_script("t1", reader.offset, base=base), limits=detached.limits(plan))
        again = host.run(detached.submit_script(plan, "t1", 1, "p", base=base), limits=detached.limits(plan))
    assert (tmp_path / "runs").read_text() == "x\n"
    assert fold(rest.stdout).verdict == fold(again.stdout).verdict == "succeeded"
    assert b"early" not in rest.stdout


CANARY = "cAnArY-$'\"\\%-4711"


def watch(found: set[str], stop: threading.Event) -> None:
    """Looks for the canary in the arguments and environment of every process, all the time."""
    needles = [CANARY.encode(), base64.b64encode(CANARY.encode())]
    while not stop.is_set():
        for folder in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    data = (folder / name).read_bytes()
                except OSError:
                    continue
                if folder.name != str(os.getpid()) and any(needle in data for needle in needles):
                    found.add(f"{name}: {data[:200]!r}")


@pytest.mark.parametrize("user", ["root", "asked"])
def test_a_secret_is_in_no_process_list_and_not_on_disk_afterwards(sshd, tmp_path, user):
    extra = {} if user == "root" else {"sudo": "password", "sudo_password": PASSWORD_SECRET}
    base = str(tmp_path / "fleetpost")
    target = tmp_path / "sasl_passwd"
    do = f'install -m 600 "$FILES/0" {target}; sleep 0.5'
    plan = Plan((step("secret", do, files=(File(str(target), Secret(CANARY)),)), step("other", "sleep 0.5")))
    found, stop = set(), threading.Event()
    watcher = threading.Thread(target=watch, args=(found, stop))
    watcher.start()
    with ssh.connect(sshd.login(user, **extra)) as host:
        output = host.run(detached.submit_script(plan, "t1", 1, "p", base=base), limits=Limits(total=30, idle=20))
    stop.set()
    watcher.join()
    assert found == set()
    assert fold(output.stdout).verdict == "succeeded"
    assert target.read_text() == CANARY
    assert subprocess.run(["grep", "-rlF", "cAnArY", base], capture_output=True, text=True).stdout == ""
