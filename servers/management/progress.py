"""How a batch looks while it runs: a bar on a terminal, plain lines in a pipe, nothing when a document is wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from servers.jobs.models import FINISHED, Batch, Job, JobStep, Status

Show = Callable[[list[Job]], None]
_COLOURS = {Status.SUCCEEDED: "green", Status.CANCELLED: "yellow", Status.LOST_CONTACT: "yellow"}


@contextmanager
def progress(batch: Batch, *, quiet: bool, out) -> Iterator[Show]:
    """Yields a function to call with the batch's jobs as they are now; sums up at the end."""
    if quiet:
        yield lambda jobs: None
    elif getattr(out, "isatty", lambda: False)():
        with _bar(batch, out) as show:
            yield show
    else:
        yield _Lines(out)


class _Lines:
    """One line per step that ended and per job that finished, each once."""

    def __init__(self, out):
        self.out, self.said = out, set()

    def __call__(self, jobs: list[Job]) -> None:
        for job in jobs:
            for step in job.steps.all():
                if step.finished_at:
                    self._say((job.pk, step.pk), f"{job.server.name}: {step.title}: {_word(job, step)}")
            if job.status in FINISHED:
                self._say(job.pk, f"{job.server.name}: {job.get_status_display().lower()}. {ending(job)}")

    def _say(self, key, line: str) -> None:
        if key not in self.said:
            self.said.add(key)
            say(self.out, line)
            self.out.flush()


def say(out, line: str) -> None:
    """One line to a stream or to a command's stdout, which ends lines itself."""
    out.write(f"{line}\n")


def _word(job: Job, step: JobStep) -> str:
    looked = not job.mutating and step.state == JobStep.State.UNCHANGED
    return "ok" if looked else step.get_state_display().lower()


def ending(job: Job) -> str:
    return f"{job.outcome} {job.hint}".strip()


@contextmanager
def _bar(batch: Batch, out) -> Iterator[Show]:
    console = Console(file=out)
    last: list[Job] = []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(batch.action, total=None)

        def show(jobs: list[Job]) -> None:
            last[:] = jobs
            done = sum(job.status in FINISHED for job in jobs)
            bars.update(task, total=len(jobs), completed=done, description=_now(jobs))

        yield show
    console.print(table(last))


def _now(jobs: list[Job]) -> str:
    """What the first unfinished job is doing."""
    live = [job for job in jobs if job.status not in FINISHED]
    for job in live:
        open_steps = [step for step in job.steps.all() if not step.finished_at]
        if open_steps:
            return escape(f"{job.server.name}: {open_steps[-1].title}")
    started = [job for job in live if job.status != Status.QUEUED]
    return escape(f"{started[0].server.name}: working") if started else "Waiting for a worker" if live else "Finished"


def table(jobs: list[Job]) -> Table:
    """Job, server, action, status, outcome: for the end of a batch and for `fleet jobs`."""
    grid = Table(box=None, pad_edge=False)
    for heading in ("Job", "Server", "Action", "Status", "Outcome"):
        grid.add_column(heading, overflow="fold")
    for job in jobs:
        colour = _COLOURS.get(job.status, "red" if job.status in FINISHED else "blue")
        state = f"[{colour}]{job.get_status_display()}[/]"
        grid.add_row(str(job.pk), escape(job.server.name), job.action, state, escape(ending(job)))
    return grid
