"""A server without SSH: a folder of this machine, in which scripts run with the real `sh`. The fake stands at the wire;
the detached runner, its journal and its lock are the real ones."""

import os
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
    """cut_after: bytes of output after which the line goes dead once; dead: how many connections to refuse first."""

    cuts: list[int] = []

    def __init__(self, root: Path):
        self.root = root
        self.process: subprocess.Popen | None = None

    def run(self, script: str | Secret, *, limits: Limits = Limits(), on_stdout=None) -> Output:  # noqa: B008
        text = script.reveal() if isinstance(script, Secret) else script.encode()
        text = text.replace(b"/var/lib/fleetpost", f"{self.root}/fleetpost".encode())
        text = text.replace(b"/tmp/fleetpost-toy-note", f"{self.root}/note".encode())
        if (self.root / "unplugged").exists():
            raise LostContact
        began = time.monotonic()
        self.process = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.root
        )
        self.process.stdin.write(text)
        self.process.stdin.close()
        out = self._read(on_stdout)
        error = self.process.stderr.read()
        return Output(out, error, self.process.wait(), time.monotonic() - began)

    def _read(self, on_stdout) -> bytes:
        out, cut = b"", ToyHost.cuts.pop(0) if ToyHost.cuts else None
        while chunk := os.read(self.process.stdout.fileno(), 4096):
            out += chunk
            if on_stdout:
                on_stdout(chunk)
            if (cut is not None and len(out) >= cut) or (self.root / "unplugged").exists():
                self.close()
                raise LostContact
        return out

    def tunnel(self, name: str, port: int, *, limits: Limits = Limits()):  # noqa: B008
        raise NotImplementedError

    def close(self) -> None:
        """Like a connection that ends: what was started in its own session goes on."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def dial(login: Login) -> ToyHost:
    root = here()
    with (root / "dialled").open("a") as log:
        log.write(f"{os.getpid()}\n")
    if (root / "unplugged").exists():
        raise LostContact
    return ToyHost(root)
