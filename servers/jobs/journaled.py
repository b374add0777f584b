"""The journal of a run on a server, written into the job's steps and lines, each event once."""

from servers.jobs.models import JobStep
from servers.jobs.record import Recorder
from servers.remote.journal import Event, Progress, Reader
from servers.remote.plan import Plan

State = JobStep.State


class Journal:
    """Fed with what the server streams. `progress` folds all of it; what an earlier worker already recorded, up to
    `recorded` bytes, is folded and not recorded again."""

    def __init__(self, recorder: Recorder, plan: Plan | None = None, recorded: int = 0):
        self.progress = Progress()
        self.reader = Reader()
        self._recorder = recorder
        self._plan = plan
        self._recorded = recorded
        self._rest = b""
        self._open: dict[int, JobStep] = {}
        self._left = {step.slug: step for step in recorder.left_open()}

    @property
    def over(self) -> bool:
        """Nothing more will come: a verdict, a refusal, or a runner that is gone."""
        return bool(self.progress.verdict or self.progress.refused or self.progress.interrupted)

    def ask_again(self) -> None:
        """Before another script streams the journal from `reader.offset`: half a line is sent again whole."""
        self.reader = Reader(self.reader.offset)
        self._rest = b""
        self.progress.refused, self.progress.interrupted = "", False

    def feed(self, data: bytes) -> None:
        """Line by line, so that the offset stored with an event is the end of that event."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            for event in self.reader.feed(line + b"\n"):
                self.progress.apply(event)
                if event.kind.startswith("~"):
                    continue
                if self.reader.offset > self._recorded:
                    with self._recorder.together(journal_offset=self.reader.offset):
                        self._record(event)
                else:
                    self._remember(event)

    def _remember(self, event: Event) -> None:
        """Finds the row of a step that was open when the earlier worker was lost."""
        if event.kind in ("step", "undo"):
            row = self._left.get(self._name(event)[0])
            if row is not None:
                self._open[event.step] = row
        elif event.kind in ("end", "undone"):
            self._open.pop(event.step, None)

    def _record(self, event: Event) -> None:
        if event.kind in ("step", "undo"):
            self._open[event.step] = self._recorder.open(*self._name(event), on_server=True)
        elif event.kind in ("out", "back"):
            if event.step in self._open:
                self._recorder.line(self._open[event.step], event.text)
        elif event.kind in ("end", "undone"):
            self._end(event)
        elif event.kind in ("recover", "done"):
            self.close(State.FAILED)

    def _end(self, event: Event) -> None:
        if event.kind == "end" and event.step not in self._open:
            if self._plan is None or event.step >= len(self._plan.steps):
                return  # a step that never began, of a plan this worker has not seen
            skipped = self._plan.steps[event.step]
            self._open[event.step] = self._recorder.open(skipped.slug, skipped.title, on_server=True)
        step = self._open.pop(event.step, None)
        if step is not None:
            self._recorder.close(step, State.CHANGED if event.state == "ok" else event.state)

    def close(self, state: str) -> None:
        for step in self._open.values():
            self._recorder.close(step, state)
        self._open.clear()

    def _name(self, event: Event) -> tuple[str, str]:
        if event.kind == "step":
            return event.slug, event.text
        done = self.progress.steps[event.step]
        return f"undo-{done.slug}", f"Put back: {done.title}"
