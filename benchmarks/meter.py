"""What a run cost: wall time, the CPU of the control side and of every server, from the kernel's own accounts.

Each contestant works in a control group of its own inside the fleet's, so that what it leaves in the background counts
too, and nothing survives the fleet.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import cgroups

SETTLE = 1.0  # seconds a server may go on working after the answer, as Postfix does after a reload


@dataclass(frozen=True)
class Cost:
    """Seconds. wall: from asking to the last server's end. control, servers: CPU, user and system, of all of them."""

    wall: float
    control: float
    servers: float


def group(label: str, name: str) -> Path:
    """The group of a contestant, in the hierarchy that counts CPU (cgroup 2 does so without any controller)."""
    folder = cgroups.hierarchies()[-1] / cgroups.OURS / label / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def used(folder: Path) -> float:
    """Seconds of CPU this group and those below it have used."""
    return int(folder.joinpath("cpu.stat").read_text().split()[1]) / 1e6


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Processes started in here belong to the group."""
    home = cgroups.hierarchies()[-1] / own().lstrip("/")
    folder.joinpath("cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        home.joinpath("cgroup.procs").write_text(str(os.getpid()))


def own() -> str:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return next(line.partition("::")[2] for line in lines if line.startswith("0::"))


def start(folder: Path, argv: list[str], **how) -> subprocess.Popen:
    enter = f'echo $$ >{folder}/cgroup.procs && exec "$@"'
    return subprocess.Popen(["sh", "-c", enter, "bench", *argv], **how)


class Meter:
    def __init__(self, label: str):
        self.label = label

    def run(self, name: str, machines: list[str], work: Callable[[], float | None]) -> Cost:
        """`work` does the whole job; it may return its own wall time, when it knows better than the clock here."""
        contestant, others = group(self.label, f"control-{name}"), [group(self.label, each) for each in machines]
        control, servers = used(contestant), sum(map(used, others))
        began = time.monotonic()
        wall = work() or time.monotonic() - began
        threading.Event().wait(SETTLE)
        return Cost(wall=wall, control=used(contestant) - control, servers=sum(map(used, others)) - servers)
