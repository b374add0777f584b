"""The machine the fleet runs on: its commands, the packages it needs, its mounts."""

import os
import shutil
import subprocess
from pathlib import Path

# Debian package -> a program it brings; `python -m tests.fleet requirements` prints the packages.
REQUIREMENTS = {
    "debootstrap": "debootstrap",
    "dpkg-dev": "dpkg-scanpackages",
    "iproute2": "ip",
    "iptables": "iptables",
    "systemd-container": "systemd-nspawn",
    "util-linux": "nsenter",
}


class FleetError(RuntimeError):
    """The harness itself could not do its work; the message says which command and why."""


def sh(*argv: str | Path, input: str | None = None, timeout: float = 600) -> str:
    """Standard output of a command; FleetError with its standard error when it fails."""
    command = [str(part) for part in argv]
    try:
        done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=timeout)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise FleetError(f"{' '.join(command)}: {problem}") from problem
    if done.returncode:
        tail = "\n".join([done.stdout[-2000:].strip(), done.stderr[-2000:].strip()]).strip()
        raise FleetError(f"{' '.join(command)[:300]} exited {done.returncode}: {tail}")
    return done.stdout


def succeeds(*argv: str | Path) -> bool:
    """Whether the command exits 0; what it prints is dropped."""
    return subprocess.run([str(part) for part in argv], capture_output=True).returncode == 0


def obstacles() -> list[str]:
    """Plain reasons why no fleet can run here; empty when one can."""
    reasons = []
    if os.geteuid() != 0:
        reasons.append("not root")
    if not Path("/etc/debian_version").exists():
        reasons.append("not Debian or Ubuntu")
    lacking = [package for package, program in REQUIREMENTS.items() if not shutil.which(program)]
    if lacking:
        reasons.append("packages missing: " + " ".join(lacking))
    return reasons


def mounts_under(directory: Path) -> list[Path]:
    """Mount points at or below `directory`, deepest first, as unmounting needs them."""
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        point = Path(line.split()[1].encode().decode("unicode_escape"))
        if point == directory or directory in point.parents:
            found.append(point)
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def unmount_under(directory: Path) -> None:
    for point in mounts_under(directory):
        succeeds("umount", point) or sh("umount", "--lazy", point)


def raise_limit(name: str, least: int) -> None:
    """Raise a kernel limit under /proc/sys to `least`; never lowers one."""
    limit = Path("/proc/sys", name)
    if int(limit.read_text()) < least:
        limit.write_text(str(least))
