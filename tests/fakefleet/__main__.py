"""`python -m tests.fakefleet --ok 350 --slow 50 --drop 100` prints the servers and plays them until its stdin ends."""

import argparse
import asyncio
import json
import resource
import socket
import sys
import time

from tests.fakefleet import HOST_KEY, address, mixed
from tests.fakefleet.machine import KINDS, Machine
from tests.fakefleet.ssh import Connection

WORDS = {
    "ok": "answer at once",
    "slow": "answer after --delay seconds",
    "flood": "print without end",
    "lie": "end with status 0 after printing garbage",
    "strand": "begin a change of keys at the command and never end it",
    "mute": "take the connection and say nothing",
    "drop": "let packets fall on the floor",
    "refuse": "refuse the connection",
}


def _listener(backlog: int) -> socket.socket:
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle's delay on
    listener.bind(("0.0.0.0", 0))
    listener.listen(backlog)
    return listener


def _floor() -> tuple[socket.socket, list[socket.socket]]:
    """A port whose queue is full: the kernel drops what else arrives, as a firewall does."""
    listener, held = _listener(0), []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", listener.getsockname()[1]))
        held.append(filler)
    time.sleep(0.1)
    return listener, held


async def _play(kinds: list[str], delay: float, as_json: bool) -> None:
    machines = {address(number): Machine(kind, delay) for number, kind in enumerate(kinds)}
    loop = asyncio.get_running_loop()

    def welcome(where: str) -> Machine | None:
        machine = machines.get(where)
        return None if machine is None or machine.kind == "mute" else machine

    server = await loop.create_server(lambda: Connection(HOST_KEY, welcome), sock=_listener(4096), backlog=4096)
    floor, _held = _floor()
    ports = {"drop": floor.getsockname()[1], "refuse": 1}
    usual = server.sockets[0].getsockname()[1]
    rows = [
        {"kind": kind, "address": where, "port": ports.get(kind, usual)}
        for where, kind in zip(machines, kinds, strict=True)
    ]
    print(
        json.dumps(rows) if as_json else "\n".join(f"{r['kind']:7}{r['address']}:{r['port']}" for r in rows), flush=True
    )
    answers = {
        "ledger": lambda: [machine.ledger() for machine in machines.values()],
        "seconds": lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
    }
    while question := await loop.run_in_executor(None, sys.stdin.readline):
        if question.strip() in answers:
            print(json.dumps(answers[question.strip()]()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakefleet", description=__doc__)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="N", help=f"servers that {WORDS[kind]}")
    parser.add_argument("--delay", type=float, default=3.0, help="seconds a slow server thinks")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    asked = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    asyncio.run(_play(mixed({kind: getattr(asked, kind) for kind in KINDS}), asked.delay, asked.json))


if __name__ == "__main__":
    main()
