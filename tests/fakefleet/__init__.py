"""Many scripted SSH servers in few processes, for what the panel itself costs and how it behaves under load.

Each server has an address of its own, 127.x.y.z; one socket listens for all of them. Nothing but the server's answers
is made up: the panel's own sign-in, scripts and detached runs go over real SSH.
"""

import base64
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakefleet import ssh
from tests.fakefleet.machine import KINDS

# One key for all: the panel pins per server, and a fleet that is started again keeps its pins.
HOST_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fakefleet").digest())
PIN = base64.b64encode(ssh.public(HOST_KEY)).decode()


@dataclass(frozen=True)
class Fake:
    kind: str
    address: str
    port: int


def address(number: int) -> str:
    return f"127.{64 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


class Fleet:
    """`with Fleet(ok=350, slow=50, drop=100) as fleet` starts the servers; they end with the block, or with us.

    delay: seconds a slow server thinks. The servers of all kinds are mixed evenly in `servers`."""

    def __init__(self, *, delay: float = 3.0, **counts: int):
        self._argv = [sys.executable, "-m", "tests.fakefleet", "--delay", str(delay), "--json"]
        for kind, count in counts.items():
            self._argv += [f"--{kind}", str(count)]

    def __enter__(self) -> "Fleet":
        self.process = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.servers = [Fake(**row) for row in json.loads(self.process.stdout.readline())]
        return self

    def __exit__(self, *error) -> None:
        self.process.stdin.close()
        self.process.wait(10)

    def ledger(self) -> list[dict]:
        """What happened at each of `servers`: visits, refused, runs."""
        return self._ask("ledger")

    def seconds(self) -> float:
        """CPU the servers have used."""
        return self._ask("seconds")

    def _ask(self, question: str):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def mixed(counts: dict[str, int]) -> list[str]:
    """The kinds in an order in which every stretch of the list has its share of each."""
    places = [((number + 0.5) / counts[kind], kind) for kind in KINDS for number in range(counts.get(kind, 0))]
    return [kind for _, kind in sorted(places)]
