"""Real processes for the tests: the embedded broker and Celery workers that share the test's database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import redis
from django.db import connection

from controlpanel import broker


def until(condition: Callable[[], object], seconds: float = 120.0, what: str = "it") -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


class Broker:
    def __init__(self, folder: Path):
        self.socket = folder / "broker.sock"
        self.url = f"redis+socket://{self.socket}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(broker.command(self.socket), stdout=subprocess.DEVNULL)
        until(lambda: broker.answers(self.url), what="an answer of the broker")

    def forget(self) -> None:
        """As FLUSHALL does, by whose hand it may be."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.flushall()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Worker:
    """`manage.py up`'s worker process, started alone. Everything it logs is in `log`."""

    def __init__(self, folder: Path, environment: dict[str, str], threads: int = 4):
        self.log = folder / f"worker-{time.monotonic_ns()}.log"
        celery = [sys.executable, "-m", "celery", "-A", "controlpanel", "worker", "--pool", "threads"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*celery, "--concurrency", str(threads), "--without-gossip", "--without-mingle", "--loglevel", "INFO"],
                env=os.environ | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(lambda: b"ready." in self.log.read_bytes() or self.process.poll() is not None, what="a worker")

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As the out-of-memory killer does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        """As a deployment does."""
        self.process.terminate()
        return self.process.wait(120)


def environment(folder: Path, broker: Broker, machine: Path, **more: str) -> dict[str, str]:
    """What a worker needs to see this test's database, keys, broker and toy server."""
    from django.conf import settings

    keys = folder / "vault"
    keys.write_text("".join(f"{name} {key}\n" for name, key in settings.VAULT_KEYS))
    return {
        "DJANGO_SETTINGS_MODULE": "tests.toyservice.settings",
        "FLEETPOST_DATA": str(folder),
        "FLEETPOST_VAULT_KEYS_FILE": str(keys),
        "FLEETPOST_BROKER_URL": broker.url,
        "FLEETPOST_TOY_MACHINE": str(machine),
        "FLEETPOST_TOY_DATABASE": str(connection.settings_dict["NAME"]),
    } | more
