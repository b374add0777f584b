"""One control group per process tree of ours: it tells servers apart and finds leftovers after a crash.

Several nspawn containers started from one group would share their systemd's group names, so each
starts in its own, in every hierarchy systemd uses (v1 name=systemd, hybrid, or unified).
"""

import os
import signal
import time
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
OURS = "fleetpost"


def hierarchies() -> list[Path]:
    if (TOP / "cgroup.procs").exists():
        return [TOP]
    return [top for top in (TOP / "systemd", TOP / "unified") if (top / "cgroup.procs").exists()]


def groups(*parts: str) -> list[Path]:
    return [top.joinpath(OURS, *parts) for top in hierarchies()]


def launcher(label: str, name: str) -> list[str]:
    """argv prefix that moves itself into the group (made here), then becomes what follows it."""
    files = []
    for group in groups(label, name):
        group.mkdir(parents=True, exist_ok=True)
        files.append(str(group / "cgroup.procs"))
    enter = "".join(f"echo $$ > {file} && " for file in files)
    return ["sh", "-c", enter + 'exec "$@"', "fleetpost"]


def pids(*parts: str) -> set[int]:
    """Processes of a group and everything below it. Groups come and go meanwhile; os.walk bears that."""
    found: set[int] = set()
    for group in groups(*parts):
        for directory, _, _ in os.walk(group):
            try:
                found.update(int(line) for line in Path(directory, "cgroup.procs").read_text().split())
            except OSError:
                continue
    return found - {0}


def init_of(label: str, name: str) -> int | None:
    """The container's first process as seen from here: the one that is 1 in its own namespace."""
    for pid in pids(label, name):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        names = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
        if len(names) == 2 and names[-1] == "1":
            return pid
    return None


def kill(*parts: str, patience: float = 10) -> None:
    """Kill a group's processes, wait until they are gone, remove the group."""
    deadline = time.monotonic() + patience
    while alive := pids(*parts):
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {'/'.join(parts)} outlive SIGKILL: {sorted(alive)}")
        time.sleep(0.02)
    remove(*parts)


def remove(*parts: str) -> None:
    for group in groups(*parts):
        for directory, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                continue
