"""Plays every fault of faults.py, each on its own address, inside the fleet's "bad" namespace.

Run as `python -m tests.fleet.badprovider CONFIG`; CONFIG is JSON: {"hosts": {fault: address},
"certificates": {kind: {"chain": path, "key": path}}, "record": path}. Writes what it saw as JSON
lines: {"fault", "peer", "event", "text"}; event is connect, tls, tls-failed, command or message.
"""

import asyncio
import base64
import json
import re
import ssl
import sys
from pathlib import Path
from typing import Any, TextIO

from tests.fleet.faults import FAULTS, STARTTLS_PORTS, TLS_PORT, Fault

FLOOD = 10_000_000  # bytes


class Session:
    """One connection. `run` returns when either side ends it."""

    def __init__(
        self,
        fault: Fault,
        context: ssl.SSLContext,
        record: TextIO,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        encrypted: bool,
    ) -> None:
        self.fault = fault
        self.context = context
        self.record = record
        self.reader = reader
        self.writer = writer
        self.encrypted = encrypted
        self.sender = ""
        self.recipient = ""
        self.queue_id = ""
        self.sign_in: list[str] = []

    def note(self, event: str, text: str = "") -> None:
        peer = self.writer.get_extra_info("peername")[0]
        entry = {"fault": self.fault.name, "peer": peer, "event": event, "text": text}
        print(json.dumps(entry), file=self.record, flush=True)

    async def say(self, reply: str) -> None:
        await asyncio.sleep(self.fault.pause)
        known = {"sender": self.sender, "recipient": self.recipient, "queue_id": self.queue_id}
        known |= {"password": self.password, "encoded": " ".join(self.sign_in)}
        text = reply.format(host=self.fault.host, **known)
        data = text.encode(errors="surrogateescape") + b"\r\n"
        for piece in [data[at : at + 1] for at in range(len(data))] if self.fault.drip else [data]:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(self.fault.drip)

    @property
    def password(self) -> str:
        """What a client signed in with, read back as any server can."""
        last = base64.b64decode(self.sign_in[-1]) if self.sign_in else b""
        return last.rpartition(b"\0")[2].decode(errors="surrogateescape")

    async def flood(self) -> None:
        data = self.fault.flood.encode()
        for _ in range(FLOOD // len(data)):
            self.writer.write(data)
            await self.writer.drain()

    async def run(self) -> None:
        self.note("connect")
        if self.fault.greeting is None:
            await self.reader.read()
            return
        if self.fault.flood:
            await self.flood()
        await self.say(self.fault.greeting)
        if self.fault.hangs_up or not self.fault.greeting.startswith("220"):
            return
        while line := await self.reader.readline():
            text = line.decode("latin-1").rstrip("\r\n")
            self.note("command", text)
            verb, _, argument = text.partition(" ")
            if not await self.answer(verb.upper(), argument):
                return

    async def answer(self, verb: str, argument: str) -> bool:
        """False when the connection is over."""
        match verb:
            case "EHLO" | "HELO":
                await self.say(self.capabilities())
            case "STARTTLS" if self.fault.starttls != "missing" and not self.encrypted:
                return await self.start_tls()
            case "AUTH":
                await self.authenticate(argument)
            case "MAIL":
                self.sender = address_in(argument)
                await self.say(self.fault.mail)
            case "RCPT":
                self.recipient = address_in(argument)
                await self.say(self.fault.rcpt)
            case "DATA":
                return await self.data()
            case "RSET" | "NOOP":
                await self.say("250 2.0.0 Ok")
            case "QUIT":
                await self.say("221 2.0.0 Bye")
                return False
            case _:
                await self.say("502 5.5.2 Command not recognized")
        return True

    def capabilities(self) -> str:
        words = [self.fault.host, "PIPELINING" if not self.fault.pause else "8BITMIME", "ENHANCEDSTATUSCODES"]
        may_sign_in = self.encrypted or self.fault.starttls == "missing"
        if self.fault.offers_auth and may_sign_in:
            words.append("AUTH PLAIN LOGIN")
        if self.fault.starttls != "missing" and not self.encrypted:
            words.append("STARTTLS")
        words += [f"X-{number}" for number in range(self.fault.capabilities)]
        return "\r\n".join([*(f"250-{word}" for word in words[:-1]), f"250 {words[-1]}"])

    async def start_tls(self) -> bool:
        await self.say("220 2.0.0 Ready to start TLS")
        if self.fault.starttls == "broken":
            # Answered before the client's first bytes, a closed connection takes the answer with it, or does not.
            await self.reader.read(1)
            self.writer.write(b"this is not a TLS record\r\n" * 4)
            await self.writer.drain()
            return False
        try:
            await self.writer.start_tls(self.context)
        except (ssl.SSLError, ConnectionError) as problem:
            self.note("tls-failed", str(problem))
            return False
        self.encrypted = True
        self.note("tls")
        return True

    async def authenticate(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        prompts = ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] if mechanism.upper() == "LOGIN" else ["334 "]
        self.sign_in = [initial] if initial else []
        for prompt in prompts[1:] if initial else prompts:
            await self.say(prompt)
            self.sign_in.append((await self.reader.readline()).decode("latin-1").rstrip("\r\n"))
            self.note("command", self.sign_in[-1])
        await self.say(self.fault.auth)

    async def data(self) -> bool:
        if self.fault.at_end == "close":
            return False
        await self.say("354 End data with <CR><LF>.<CR><LF>")
        if self.fault.at_end == "drop":
            await self.reader.readline()
            self.writer.transport.abort()
            return False
        lines = []
        while (line := await self.reader.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        message = b"".join(lines).decode("latin-1")
        self.note("message", message)
        self.queue_id = next(iter(re.findall(r"\bid (\w+)", message)), "")
        if self.fault.at_end == "stall":
            await self.reader.read()
            return False
        await self.say(self.fault.at_end)
        return True


def address_in(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]


async def listen(fault: Fault, address: str, context: ssl.SSLContext, record: TextIO) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, encrypted: bool) -> None:
        try:
            await Session(fault, context, record, reader, writer, encrypted=encrypted).run()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    for port in STARTTLS_PORTS:
        await asyncio.start_server(lambda r, w: serve(r, w, False), address, port)
    if fault.starttls == "works":
        # Silence on an implicit TLS port begins before the handshake.
        tls = None if fault.greeting is None else context
        await asyncio.start_server(lambda r, w: serve(r, w, True), address, TLS_PORT, ssl=tls)


async def serve_all(config: dict[str, Any]) -> None:
    contexts = {}
    for kind, files in config["certificates"].items():
        contexts[kind] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[kind].load_cert_chain(files["chain"], files["key"])
    with open(config["record"], "a") as record:
        for name, address in config["hosts"].items():
            await listen(FAULTS[name], address, contexts[FAULTS[name].certificate], record)
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve_all(json.loads(Path(sys.argv[1]).read_text())))
