"""One fake server: what it answers to the panel's real scripts, and the detached runs it plays with canned steps."""

import asyncio
import base64
import re
import time
from dataclasses import dataclass, field

from tests.fakefleet.ssh import Channel

KINDS = ("ok", "slow", "flood", "lie", "strand", "mute", "drop", "refuse")
_CALL = re.compile(rb"\| perl - (submit|follow|recover) (\S+) (\S+)([^\n]*)\n+#fleetpost-end\Z")
_CANCEL = re.compile(rb"jobs/([\w-]+)'? \] \|\| : >")
_SLEEP = re.compile(rb"\bsleep (\d+(?:\.\d+)?)")
_BEAT = 5.0


def _section(name: str, content: str) -> bytes:
    return b"@%s\n%s.\n" % (name.encode(), base64.encodebytes(content.encode()))


_DISKS = "".join(f"/dev/vda1 41152812 9000000 30000000 23% {path}\n" for path in ("/", "/", "/"))
_FACTS = b"".join(
    _section(name, content)
    for name, content in {
        "os": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "machine": "x86_64\namd64\nfake\n",
        "managers": "/usr/bin/apt-get\n",
        "disk": f"Filesystem 1024-blocks Used Available Capacity Mounted on\n{_DISKS}",
        "inodes": f"Filesystem Inodes IUsed IFree IUse% Mounted on\n{_DISKS}",
        "mounts": "/dev/vda1 / ext4 rw 0 0\n",
        "init": "systemd\n/usr/bin/perl\n",
        "mail": "ii  postfix mail-transport-agent\n/usr/sbin/sendmail\n",
        "memory": "MemTotal: 2000000 kB\n",
    }.items()
)
# A Postfix that runs and carries nothing of ours: to the regular look this is drift.
_POSTFIX = b"".join(
    _section(name, content)
    for name, content in {
        "os": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "packages": "postfix amd64 3.7.11-0+deb12u1 installed\nlibsasl2-modules amd64 2.1.28 installed\n",
        "main.cf": "compatibility_level = 3.6\ninet_interfaces = loopback-only\nrelayhost =\n" * 3,
        "queue": "0 \n",
        "space": "7500000 4096 2000000 2600000 /var/spool\n",
        **dict.fromkeys(("audit", "listeners", "master.cf", "manifest", "before", "record", "added", "removed"), ""),
        **dict.fromkeys(("maps", "waiting", "other-queue"), ""),
        "end": "end\n",
    }.items()
)
_NONCE = re.compile(rb"echo @nonce\n\( printf %s '?([\w-]+)")


@dataclass
class Submitted:
    """One detached run. The ledger shows all but the journal."""

    token: str
    fence: int
    began: float
    ended: float = 0.0
    verdict: str = ""
    journal: bytearray = field(default_factory=bytearray)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    def note(self, *words) -> None:
        self.journal += " ".join(map(str, words)).encode() + b"\n"
        self.news.set()
        self.news = asyncio.Event()


def _stamp() -> int:
    return int(time.time() * 1000)


class Machine:
    """kind: ok answers at once, slow after `delay` seconds, flood never stops talking, lie says that all went well and
    shows garbage, strand begins a change of keys at the command and never ends it, mute takes connections and stays
    silent. (drop and refuse are sockets, not machines.)"""

    def __init__(self, kind: str, delay: float = 0.0):
        self.kind, self.delay = kind, delay if kind == "slow" else 0.0
        self.visits = 0
        self.refused = 0  # submissions that met another run at work, or came with an old fence
        self.runs: dict[str, Submitted] = {}
        self._fences: dict[str, tuple[int, str]] = {}
        self._note = b""
        self._tasks: set[asyncio.Task] = set()

    def ledger(self) -> dict:
        runs = [
            {"token": r.token, "fence": r.fence, "began": r.began, "ended": r.ended, "verdict": r.verdict}
            for r in self.runs.values()
        ]
        return {"visits": self.visits, "refused": self.refused, "runs": runs}

    def greet(self, channel: Channel) -> None:
        channel.write(b"fleetpost-root 4242\n")

    def answer(self, channel: Channel) -> None:
        self.visits += 1
        script = bytes(channel.stdin)
        call = _CALL.search(script)
        if self.kind == "ok" and call is None:
            self._reply(channel, script)
        else:
            self._spawn(self._answer(channel, script, call))

    def _spawn(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reply(self, channel: Channel, script: bytes) -> None:
        if found := _NONCE.search(script):
            told = f"uid=0\nclock={int(time.time())}\nsystemd=1\njournal=1\nrunning=1\nenabled=1\nfqdn=fake.test\n"
            channel.write(_section("nonce", found[1].decode()) + _section("system", told) + _POSTFIX)
        elif b"echo @os\n" in script:
            channel.write(_FACTS + _section("clock", f"{time.time():.9f}\n"))
        elif script.startswith(b"cat "):
            channel.write(self._note)
        elif (found := _CANCEL.search(script)) and (run := self.runs.get(found[1].decode())):
            run.cancelled = True
        channel.close(0)

    async def _answer(self, channel: Channel, script: bytes, call: re.Match | None) -> None:
        await asyncio.sleep(self.delay)
        if self.kind == "flood":
            while not channel.closed:
                await channel.pour(b"line after line of what nobody asked for\n" * 700)
                await asyncio.sleep(0.003)  # some 9 MB/s: below the half gigabyte after which keys are changed
        elif self.kind == "strand":
            channel.write(b"a beginning\n")
            channel.strand()
        elif self.kind == "lie":
            channel.write(b"\xff\x00 all done @os \x1b[2J\n~done succeeded none\n")
            channel.close(0)
        elif call is None:
            self._reply(channel, script)
        else:
            mode, token, words = call[1].decode(), call[3].decode(), call[4].decode().split()
            if mode == "submit" and token not in self.runs:
                refusal = self._take_in(token, words[0], int(words[1]), script)
                if refusal:
                    self.refused += 1
                    channel.write(refusal)
                    channel.close(0)
                    return
            await self._follow(channel, token, 0 if mode == "submit" else int(words[-1]))

    def _take_in(self, token: str, panel: str, fence: int, script: bytes) -> bytes | None:
        at_work = [run.token for run in self.runs.values() if not run.ended]
        if at_work:
            return f"~busy {at_work[0]}\n".encode()
        highest, owner = self._fences.get(panel, (0, "-"))
        if fence < highest or (fence == highest and owner != token):
            return f"~refused fence {highest}\n".encode()
        self._fences[panel] = (fence, token)
        run = self.runs[token] = Submitted(token, fence, time.time())
        data = dict(line.split(b" ", 1) for line in script.split(b"__DATA__\n", 1)[1].split(b"\n") if b" " in line)
        steps = [row.split(b" ") for row in base64.b64decode(data[b"plan"].rstrip(b"'")).split(b"\n") if row]
        files = [base64.b64decode(content) for name, content in data.items() if name.startswith(b"files/")]
        self._spawn(self._work(run, steps, files))
        return None

    async def _work(self, run: Submitted, steps: list[list[bytes]], files: list[bytes]) -> None:
        run.note("begin", _stamp(), len(steps))
        for number, (_, slug, title, do, _) in enumerate(steps):
            if run.cancelled:
                run.note("end", number, _stamp(), "skipped", 0)
                continue
            run.note("step", number, _stamp(), slug.decode(), base64.b64decode(title).decode())
            for seconds in _SLEEP.findall(base64.b64decode(do)):
                await asyncio.sleep(float(seconds))
            run.note("out", number, "done")
            run.note("end", number, _stamp(), "changed", 0)
        run.verdict = "cancelled" if run.cancelled else "succeeded"
        if not run.cancelled and files:
            self._note = files[-1]
        run.ended = time.time()
        run.note("done", _stamp(), run.verdict, "rolled-back" if run.cancelled else "none")

    async def _follow(self, channel: Channel, token: str, offset: int) -> None:
        run = self.runs.get(token)
        if run is None:
            channel.write(b"~unknown\n")
        while run is not None and not channel.closed:
            news = run.news
            channel.write(bytes(run.journal[offset:]))
            offset = len(run.journal)
            if run.ended and run.journal[:offset].rstrip().rsplit(b"\n", 1)[-1].startswith(b"done"):
                break
            try:
                await asyncio.wait_for(news.wait(), _BEAT)
            except TimeoutError:
                channel.write(b"~beat\n")
        channel.close(0)
