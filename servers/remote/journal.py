"""The journal of a detached run: its lines as events, and events folded into what a person sees."""

from dataclasses import dataclass, field

from servers.remote import clean

LINE = 16_384  # bytes; the runner writes far shorter ones, so a longer one is not from it

# word -> names of the space-separated fields after it; the last of a starred word takes the rest of the line.
_FIELDS = {
    "begin": ("at", "step"),
    "recover": ("at", "step"),
    "step": ("step", "at", "slug", "*text"),
    "out": ("step", "*text"),
    "end": ("step", "at", "state", "status"),
    "undo": ("step", "at"),
    "back": ("step", "*text"),
    "undone": ("step", "at", "state", "status"),
    "done": ("at", "state", "slug"),
    # Answers of the submitting or following program; they are not in the journal and count for no offset.
    "~beat": (),
    "~busy": ("slug",),
    "~refused": ("slug", "*text"),
    "~unknown": (),
    "~interrupted": (),
}
_NUMBERS = {"at", "step", "status"}
STATES = {"changed", "unchanged", "failed", "skipped", "ok"}
VERDICTS = {"succeeded", "failed", "cancelled", "interrupted", "busy"}
ROLLBACKS = {"none", "rolled-back", "left"}


@dataclass(frozen=True)
class Event:
    """One line. kind: its first word; at: seconds since the epoch.

    begin, recover: step = number of steps · step: slug, text = title · out, back: text · end, undone: state, status ·
    undo · done: state = verdict, slug = none, rolled-back or left · answers: ~beat, ~busy (slug = the token that runs),
    ~refused (slug = fence, disk, fork or perl; text), ~unknown, ~interrupted.
    """

    kind: str
    step: int = -1
    at: float = 0.0
    slug: str = ""
    state: str = ""
    status: int = 0
    text: str = ""


def parse(line: bytes) -> Event | None:
    """One line without its end; None for what the runner cannot have written."""
    if len(line) > LINE:
        return None
    kind, _, rest = line.decode("utf-8", "replace").partition(" ")
    names = _FIELDS.get(kind)
    if names is None:
        return None
    values = rest.split(" ", len(names) - 1) if names else []
    if len(values) < len(names) - 1 or (len(values) < len(names) and not names[-1].startswith("*")):
        return None
    found: dict = {"kind": kind}
    for name, value in zip(names, values, strict=False):
        if name in _NUMBERS:
            if not (value.isascii() and value.isdigit() and len(value) < 16):
                return None
            found[name] = int(value) / 1000 if name == "at" else int(value)
        else:
            found[name.lstrip("*")] = clean.line(value) if kind not in ("out", "back") else _output(value)
    event = Event(**found)
    return event if _possible(event) else None


def _output(value: str) -> str:
    return clean.text(value).replace("\n", " ")


def _possible(event: Event) -> bool:
    if event.kind in ("end", "undone"):
        return event.state in STATES
    if event.kind == "done":
        return event.state in VERDICTS and event.slug in ROLLBACKS
    return True


class Reader:
    """Turns the stream of a run into events. offset: bytes of the journal read so far, for `follow_script`."""

    def __init__(self, offset: int = 0):
        self.offset = offset
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        for line in lines:
            if not line.startswith(b"~"):
                self.offset += len(line) + 1
            event = parse(line)
            if event:
                events.append(event)
        return events


@dataclass
class StepState:
    """state: waiting, running, changed, unchanged, failed, skipped, interrupted. undo: "", running, ok or failed."""

    position: int
    slug: str = ""
    title: str = ""
    state: str = "waiting"
    status: int = 0
    started: float = 0.0
    finished: float = 0.0
    lines: list[str] = field(default_factory=list)
    undo: str = ""
    undo_lines: list[str] = field(default_factory=list)


@dataclass
class Progress:
    """What the events so far add up to; feeding the same events gives the same value, in however many pieces.

    verdict: "" while it runs, else succeeded, failed, cancelled, interrupted, busy. refused: why the server did not
    take the run (busy, fence, disk, fork, perl, unknown). interrupted: the runner is gone without a verdict.
    """

    steps: list[StepState] = field(default_factory=list)
    total: int = 0
    started: float = 0.0
    finished: float = 0.0
    verdict: str = ""
    rollback: str = "none"
    refused: str = ""
    detail: str = ""
    interrupted: bool = False

    @property
    def changed(self) -> bool:
        return any(step.state == "changed" for step in self.steps)

    @property
    def rolled_back(self) -> bool:
        return self.rollback == "rolled-back"

    @property
    def failed_step(self) -> StepState | None:
        return next((step for step in self.steps if step.state == "failed"), None)

    def apply(self, event: Event) -> None:
        handle = getattr(self, "_" + event.kind.lstrip("~"), None)
        if handle:
            handle(event)

    def _at(self, event: Event) -> StepState:
        # A forged number must not make a list of a billion steps.
        while len(self.steps) <= min(event.step, 999):
            self.steps.append(StepState(len(self.steps)))
        return self.steps[min(event.step, 999)]

    def _begin(self, event: Event) -> None:
        self.total, self.started = event.step, event.at

    def _recover(self, event: Event) -> None:
        self.interrupted = False
        for step in self.steps:
            if step.state == "running":
                step.state = "interrupted"

    def _step(self, event: Event) -> None:
        step = self._at(event)
        step.slug, step.title, step.state, step.started = event.slug, event.text, "running", event.at

    def _out(self, event: Event) -> None:
        self._at(event).lines.append(event.text)

    def _end(self, event: Event) -> None:
        step = self._at(event)
        step.state, step.status, step.finished = event.state, event.status, event.at

    def _undo(self, event: Event) -> None:
        self._at(event).undo = "running"

    def _back(self, event: Event) -> None:
        self._at(event).undo_lines.append(event.text)

    def _undone(self, event: Event) -> None:
        self._at(event).undo = event.state

    def _done(self, event: Event) -> None:
        self.verdict, self.rollback, self.finished, self.interrupted = event.state, event.slug, event.at, False

    def _busy(self, event: Event) -> None:
        self.refused, self.detail = "busy", event.slug

    def _refused(self, event: Event) -> None:
        self.refused, self.detail = event.slug, event.text

    def _unknown(self, event: Event) -> None:
        self.refused = "unknown"

    def _interrupted(self, event: Event) -> None:
        self.interrupted = True
