"""A server without SSH: a folder of this machine, in which scripts run with the real `sh`. The fake stands at the wire;
the detached runner, its journal and its lock are the real ones."""

import os
import select
import subprocess
import time
from pathlib import Path

from servers.remote.errors import LostContact
from servers.remote.host import Limits, Login, Output
from servers.remote.secret import Secret


def here() -> Path:
    """The folder that stands for the server's root; workers in other processes learn it from the environment."""
    return Path(os.environ["FLEETPOST_TOY_MACHINE"])


class ToyHost:
    """cuts: after how many bytes of a followed run the line goes dead, one number for each connection, while any are
    left. A file `unplugged` in the folder cuts all lines and lets no new one through."""

    cuts: list[int] = []

    def __init__(self, root: Path):
        self.root = root
        self.running: list[subprocess.Popen] = []

    def run(self, script: str | Secret, *, limits: Limits = Limits(), on_stdout=None) -> Output:  # noqa: B008
        text = script.reveal() if isinstance(script, Secret) else script.encode()
        text = text.replace(b"/var/lib/fleetpost", f"{self.root}/fleetpost".encode())
        if (self.root / "unplugged").exists():
            raise LostContact
        began = time.monotonic()
        process = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.root
        )
        self.running.append(process)
        process.stdin.write(text)
        process.stdin.close()
        out = self._read(process, on_stdout)
        return Output(out, b"", process.wait(), time.monotonic() - began)

    def _read(self, process, on_stdout) -> bytes:
        out, cut = b"", ToyHost.cuts.pop(0) if ToyHost.cuts and on_stdout else None
        while True:
            if (cut is not None and len(out) >= cut) or (self.root / "unplugged").exists():
                self.close()
                raise LostContact
            if not select.select([process.stdout], [], [], 0.05)[0]:
                continue
            chunk = os.read(process.stdout.fileno(), 64 if cut is None else min(64, cut - len(out)))
            if not chunk:
                return out
            out += chunk
            if on_stdout:
                on_stdout(chunk)

    def tunnel(self, name: str, port: int, *, limits: Limits = Limits()):  # noqa: B008
        raise NotImplementedError

    def close(self) -> None:
        """Like a connection that ends: what was started in a session of its own goes on."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()


def dial(login: Login) -> ToyHost:
    root = here()
    with (root / "dialled").open("a") as log:
        log.write(f"{os.getpid()}\n")
    if (root / "unplugged").exists():
        raise LostContact
    return ToyHost(root)
