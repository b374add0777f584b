"""`manage.py up` in a process of its own, as a person runs it, and the command line beside it."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 240.0  # seconds; the machine may be slow; a wait ends with its condition


class PanelError(Exception):
    """The panel did not start, or a command ended with a status nobody expected."""


class Panel:
    """`data`: its data folder; the log lies beside it."""

    def __init__(self, data: Path, port: int | None = None):
        self.data, self.port = data, port or free_port()
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("FLEETPOST_", "DJANGO_"))}
        self.environment = bare | {"FLEETPOST_DATA": str(data), "FLEETPOST_URL": self.url}
        self.log = data.with_name(f"{data.name}.log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, pattern: str, seconds: float = PATIENCE) -> str:
        """The first thing in the log that matches, waited for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.log.read_text())
            if found:
                return found.group(0)
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise PanelError(f"{pattern!r} was not said:\n{self.log.read_text()}")

    def wait_until_up(self) -> None:
        self.says("Ctrl-C stops it")

    def sign_in_link(self) -> str:
        return self.says(r"http://\S+sign-in\S+")

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(self.url + path, timeout=60) as response:
            return response.status, response.read().decode()

    def manage(self, *arguments: str, typed: str = "", codes: tuple[int, ...] = (0,)) -> str:
        """What `manage.py …` prints. Raises PanelError for any exit status but `codes`."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode not in codes:
            said = f"{done.stdout}{done.stderr}"
            raise PanelError(f"manage.py {' '.join(arguments)} ended with {done.returncode}:\n{said}")
        return done.stdout

    def processes(self) -> set[int]:
        """Every process with the data folder in its environment or, as the broker, in its title."""
        mark = str(self.data).encode()
        found = set()
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit():
                    continue
                if mark in (entry / "environ").read_bytes() or mark in (entry / "cmdline").read_bytes():
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found.add(int(entry.name))
            except OSError:
                continue
        return found

    def process_of(self, part: str) -> int:
        """The process id of "worker", "beat", "uvicorn" or "valkey"."""
        for pid in self.processes():
            if part.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise PanelError(f"no {part} is running")

    def wait_for(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except (PanelError, OSError):
                pass
            time.sleep(0.2)
        raise PanelError(f"it did not happen within {seconds} s:\n{self.log.read_text()}")

    def wait_gone(self, seconds: float = PATIENCE) -> set[int]:
        """Those of its processes that are still there after `seconds`."""
        end = time.monotonic() + seconds
        while self.processes() and time.monotonic() < end:
            time.sleep(0.2)
        return self.processes()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
