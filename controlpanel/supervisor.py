"""A small process tree: starts the parts in order, restarts one that dies, ends all of them on a signal."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_PR_SET_PDEATHSIG = 1


@dataclass
class Part:
    """One process. grace: seconds between SIGTERM and SIGKILL. ready: polled after a start, before the next part."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    grace: float = 10.0
    ready: Callable[[], bool] | None = None
    process: subprocess.Popen | None = None
    started: float = 0.0
    deaths: int = 0


class DidNotStart(Exception):
    """A part ended or stayed silent before it was ready."""


def _die_with_parent() -> None:
    """A supervisor killed with -9 takes its children along (Linux); elsewhere they notice the closed broker."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _start(part: Part, wait: float = 30.0) -> None:
    part.process = subprocess.Popen(  # noqa: S603 - argument lists of our own making
        part.argv,
        env=os.environ | part.env,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends the parts in order
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
    )
    part.started = time.monotonic()
    while part.ready is not None and not part.ready():
        if part.process.poll() is not None or time.monotonic() - part.started > wait:
            raise DidNotStart(part.name)
        time.sleep(0.05)


def _stop(part: Part) -> None:
    if part.process is None or part.process.poll() is not None:
        return
    part.process.terminate()
    try:
        part.process.wait(part.grace)
    except subprocess.TimeoutExpired:
        os.killpg(part.process.pid, signal.SIGKILL)
        part.process.wait()


class Supervisor:
    def __init__(self, parts: list[Part], say: Callable[[str], None]):
        self.parts = parts
        self.say = say
        self._ending = False

    def run(self, on_ready: Callable[[], None]) -> None:
        """Blocks until SIGINT or SIGTERM. Raises DidNotStart when a part fails its first start."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._end)
        try:
            for part in self.parts:
                if self._ending:
                    return
                _start(part)
            on_ready()
            while not self._ending:
                self._revive()
                time.sleep(0.5)
        finally:
            for part in reversed(self.parts):
                _stop(part)

    def _end(self, number, frame) -> None:
        self._ending = True

    def _revive(self) -> None:
        for part in self.parts:
            if part.process.poll() is None:
                continue
            lived = time.monotonic() - part.started
            part.deaths = 1 if lived > 60 else part.deaths + 1
            if lived < min(2 ** (part.deaths - 1), 30):
                continue
            self.say(f"The {part.name} ended with status {part.process.returncode}; starting it again.")
            try:
                _start(part)
            except DidNotStart:
                self.say(f"The {part.name} did not start; trying again.")
