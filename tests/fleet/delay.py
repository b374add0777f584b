"""Distance in user space, for kernels without netem: a TCP relay per server that holds every byte back on its way.

    with Links({"web-1": ("10.77.1.10", 22)}, seconds=0.04) as links:
        links.ports["web-1"]                 # on 127.0.0.1; 40 ms each way are 80 ms of round-trip time
        links.turns()                        # {"web-1": 11}: since the last time it was asked
        links.waits()                        # {"web-1": 10}: likewise, without what nobody answered

Bytes and the end of a stream are delayed; TCP's own handshake is not, because the kernel answers it. A turn is counted
when the client sends something after it was given something: what it had to wait for, whatever the number of packets.
A wait is such a turn that was answered: a goodbye at the end is none.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

LISTEN = "127.0.0.1"
CHUNK = 1 << 16


class Links:
    """The relays of one fleet, in a process of their own so that their work is not a contestant's."""

    def __init__(self, targets: dict[str, tuple[str, int]], seconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fleet.delay", str(seconds), json.dumps(targets)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports: dict[str, int] = self._answer()

    def turns(self) -> dict[str, int]:
        return self._asked("turns")

    def waits(self) -> dict[str, int]:
        return self._asked("waits")

    def _asked(self, what: str) -> dict[str, int]:
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)

    def _answer(self) -> dict[str, int]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the delay relay ended")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Relay:
    """One server's door: every connection to it is carried on to `target`, `seconds` late in each direction."""

    def __init__(self, target: tuple[str, int], seconds: float) -> None:
        self.target, self.seconds = target, seconds
        self.counted: Counter[str] = Counter()
        self.carried: set[asyncio.Task] = set()

    async def open(self) -> int:
        def accept(near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self.carry(near, to_near))
            self.carried.add(task)
            task.add_done_callback(self.carried.discard)

        server = await asyncio.start_server(accept, LISTEN, 0, backlog=256)
        return server.sockets[0].getsockname()[1]

    async def carry(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        try:
            far, to_far = await asyncio.open_connection(*self.target)
        except OSError:
            to_near.transport.abort()
            return
        heard, waits = [True], [False]  # the first thing a client says is a turn of its own

        def said() -> None:
            self.counted["turns"] += heard[0]
            heard[0], waits[0] = False, True

        def given() -> None:
            self.counted["waits"] += waits[0]
            heard[0], waits[0] = True, False

        await asyncio.gather(
            self.pump(near, to_far, on_read=said),
            self.pump(far, to_near, on_write=given),
            return_exceptions=True,
        )
        to_near.close()
        to_far.close()

    async def pump(self, reader, writer, *, on_read=lambda: None, on_write=lambda: None) -> None:
        """Reads at once, writes when the time has come: what is under way is in `held`, in order."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def deliver() -> None:
            while True:
                due, data = await held.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    writer.write_eof()
                    return
                on_write()
                writer.write(data)
                await writer.drain()

        delivery = asyncio.create_task(deliver())
        try:
            while data := await reader.read(CHUNK):
                on_read()
                held.put_nowait((loop.time() + self.seconds, data))
        except OSError:
            pass
        held.put_nowait((loop.time() + self.seconds, b""))
        await delivery


async def serve(seconds: float, targets: dict[str, list]) -> None:
    """Prints the ports, then for every line on standard input, "turns" or "waits", how many there were since the last
    such answer, until it ends."""
    relays = {name: Relay((host, port), seconds) for name, (host, port) in targets.items()}
    print(json.dumps({name: await relay.open() for name, relay in relays.items()}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({name: relay.counted.pop(line.strip(), 0) for name, relay in relays.items()}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), json.loads(sys.argv[2])))
