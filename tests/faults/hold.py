"""Holds a server still at a chosen point of an install, as long as a test needs, and counts how often it came by."""

from tests.faults.watch import until
from tests.fleet.server import FleetServer

FOLDER = "/opt/hold"
# Called with the name of a point by whatever is to be held there.
_GATE = f"""#!/bin/sh
echo passed >>{FOLDER}/$1.passed
while [ -e {FOLDER}/$1 ]; do sleep 0.1; done
"""
_POINTS = {
    # Between unpacking nothing and everything: apt has its locks and is about to start dpkg.
    "packages": ("/etc/apt/apt.conf.d/00hold", f'DPkg::Pre-Invoke {{"{FOLDER}/gate packages";}};\n'),
    # main.cf is in place and Postfix is about to run.
    "start": (
        "/etc/systemd/system/postfix@-.service.d/hold.conf",
        f"[Service]\nTimeoutStartSec=infinity\nExecStartPre={FOLDER}/gate start\n",
    ),
}


def arm(server: FleetServer, held: str = "") -> None:
    """From now on both points are counted, and `held` is not passed before `release`."""
    server.run(["mkdir", "-p", FOLDER])
    server.write_file(f"{FOLDER}/gate", _GATE, mode="0755")
    for point, (path, text) in _POINTS.items():
        server.run(["mkdir", "-p", path.rpartition("/")[0]])
        server.write_file(path, text)
        if point == held:
            server.write_file(f"{FOLDER}/{point}", "")
    server.run(["systemctl", "daemon-reload"])


def wait_held(server: FleetServer, point: str) -> None:
    until(lambda: passed(server, point), f"{server.name} reaches {point}")


def release(server: FleetServer, point: str) -> None:
    (server.root / FOLDER.lstrip("/") / point).unlink()


def passed(server: FleetServer, point: str) -> int:
    path = server.root / FOLDER.lstrip("/") / f"{point}.passed"
    return path.read_text().count("passed") if path.exists() else 0
