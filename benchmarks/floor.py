"""The floor: one tuned OpenSSH process per server, in parallel, and on its standard input every script the panel hands
to a server for this job, in one go: the look, the change, and the look again. Nothing is recorded, planned or proved.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import meter
from tests.fleet.fleet import Fleet
from tests.fleet.server import FleetServer

FAST = (
    *("BatchMode=yes", "Compression=no", "ControlMaster=no", "ControlPath=none", "GSSAPIAuthentication=no"),
    *("KexAlgorithms=curve25519-sha256", "Ciphers=aes128-gcm@openssh.com", "HostKeyAlgorithms=ssh-ed25519"),
    *("PreferredAuthentications=publickey", "IdentitiesOnly=yes", "ServerAliveInterval=0", "LogLevel=ERROR"),
    *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null"),
)


class FloorError(Exception):
    """A script of the floor failed."""


class Floor:
    """places: name -> (address, port) of each server, as the panel dials it."""

    def __init__(self, fleet: Fleet, key_of: Callable[[FleetServer], bytes], relay_of: Callable[[str], object]):
        self.fleet, self.key_of, self.relay_of = fleet, key_of, relay_of
        self.places = {server.name: (str(server.address), 22) for server in fleet.servers}
        self.order = int(time.time())

    def reconfigure(self, servers: list[FleetServer], account: str) -> Callable[[], None]:
        """Plans now what is done when the result is called, so that planning is not in the time."""
        return self._together({server.name: self._change(server, account) for server in servers})

    install = reconfigure

    def unchanged(self, servers: list[FleetServer]) -> Callable[[], None]:
        return self._together({server.name: _look() for server in servers})

    def test(self, servers: list[FleetServer], sender: str, recipient: str) -> Callable[[], None]:
        return self._together({server.name: mail(server, sender, recipient) for server in servers})

    def _change(self, server: FleetServer, account: str) -> str:
        from gateway.postfix import facts, plan, spec
        from servers.remote import detached

        nonce = "benchmark-nonce"
        said = server.run(["sh", "-s"], input=facts.observe_script(nonce)).stdout
        found = facts.parse(said.encode(errors="surrogateescape"), nonce, now=time.time())
        todo = plan.plan(found, spec.Wanted(relay=self.relay_of(account)), self.key_of(server))
        if todo.refusals or not todo.steps:
            raise FloorError(f"{server.name}: nothing to do there: {todo.refusals}")
        self.order += 1
        submit = detached.submit_script(todo, f"floor-{self.order}", self.order, "floor").reveal().decode()
        return f"{_look()}{submit}{_look()}"

    def _together(self, scripts: dict[str, str]) -> Callable[[], None]:
        folder = meter.group(self.fleet.label, "control-floor")
        key = self.fleet.directory / "id_ed25519"
        commands = {name: (ssh(key, *self.places[name]), script) for name, script in scripts.items()}

        def go() -> None:
            running = []
            for argv, script in commands.values():
                running.append(meter.start(folder, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
                running[-1].stdin.write(script.encode(errors="surrogateescape"))
                running[-1].stdin.close()
            for name, process in zip(commands, running, strict=True):
                said = process.stdout.read()
                if process.wait() or b"\ndone " in said and b" succeeded " not in said:
                    raise FloorError(f"{name}: {said[-500:].decode(errors='replace')}")

        return go


def ssh(key: Path, address: str, port: int) -> list[str]:
    options = [part for option in FAST for part in ("-o", option)]
    return ["ssh", "-F", "none", "-T", "-i", str(key), "-p", str(port), *options, f"root@{address}", "sh -s"]


def _look() -> str:
    from gateway.postfix import facts

    return facts.observe_script("benchmark-nonce")


def mail(server: FleetServer, sender: str, recipient: str) -> str:
    from gateway.postfix import testmail

    token = f"bench-{time.time_ns()}-{server.name}"
    message = testmail.message(sender, recipient, f"Test from {server.name}", "A test.\n", False, token)
    return testmail.script(message, sender, recipient, wait=30)
