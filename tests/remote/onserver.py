"""Plays the server for detached runs: any POSIX shell, any base directory, no SSH in between."""

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from servers.remote import detached
from servers.remote.journal import Progress, Reader
from servers.remote.plan import Plan, Step
from servers.remote.secret import Secret


def text(script: str | Secret) -> bytes:
    return script.reveal() if isinstance(script, Secret) else script.encode()


class Machine:
    """A base directory with the texts run in `program`, as the door would run them."""

    def __init__(self, base: Path, program: str = "dash"):
        self.base, self.program = base, program

    def begin(self, script: str | Secret) -> subprocess.Popen:
        process = subprocess.Popen(
            [self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        process.stdin.write(text(script))
        process.stdin.close()
        return process

    def stream(self, script: str | Secret) -> bytes:
        process = self.begin(script)
        output = process.stdout.read()
        assert process.wait() == 0
        return output

    def submit(self, plan: Plan, token: str = "t1", fence: int = 1, panel: str = "panel") -> Progress:
        return fold(self.stream(self.text(plan, token, fence, panel)))

    def text(self, plan: Plan, token: str = "t1", fence: int = 1, panel: str = "panel") -> Secret:
        return detached.submit_script(plan, token, fence, panel, base=str(self.base))

    def follow(self, token: str = "t1", offset: int = 0) -> Progress:
        return fold(self.stream(detached.follow_script(token, offset, base=str(self.base))))

    def recover(self, token: str = "t1") -> Progress:
        return fold(self.stream(detached.recover_script(token, base=str(self.base))))

    def journal(self, token: str = "t1") -> bytes:
        return (self.base / "jobs" / token / "journal").read_bytes()

    def runners(self, token: str = "t1") -> list[int]:
        return processes(f"{self.base}/jobs/{token}/run ")

    def kill_runner(self, token: str = "t1") -> None:
        for pid in self.runners(token):
            os.kill(pid, signal.SIGKILL)

    def hold(self) -> str:
        """What a step does that lasts until `release`."""
        here = self.base.parent
        return f"touch {here}/held; while ! test -e {here}/released; do sleep 0.02; done"

    def wait_held(self) -> None:
        wait_for((self.base.parent / "held").exists)

    def release(self) -> None:
        (self.base.parent / "released").touch()

    def staged(self) -> list[Path]:
        return [path for path in self.base.glob("jobs/*/files/**/*") if path.is_file()]


def machines(folder: Path, program: str = "dash"):
    """One machine; what its interrupted runs left behind is ended with it."""
    machine = Machine(folder / "fleetpost", program)
    yield machine
    for pid in processes(f"FILES={machine.base}/", "environ"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def fold(output: bytes) -> Progress:
    progress, reader = Progress(), Reader()
    for event in reader.feed(output):
        progress.apply(event)
    return progress


def odd_sleep() -> str:
    """A sleep that no other process on this machine shares, not even one that an earlier test run left behind."""
    return f"sleep {random.randrange(10_000, 10_000_000)}"


def processes(pattern: str, where: str = "cmdline") -> list[int]:
    """Process ids whose command line (or environ) holds `pattern`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if pattern in (folder / where).read_text(errors="replace").replace("\0", " "):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def step(slug: str, do: str, undo: str = "", **more) -> Step:
    return Step(slug, slug.capitalize(), do, undo, **more)
