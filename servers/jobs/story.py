"""A job as its page tells it: steps with their output, who asked, what can be done next."""

from dataclasses import dataclass, field
from zlib import crc32

from django.db.models import Count, F, Max, Window
from django.db.models.functions import RowNumber

from controlpanel.access.gate import may
from controlpanel.access.models import Role, User
from servers import catalog
from servers.jobs.discretion import Discretion
from servers.jobs.models import Job, JobLine, JobStep

SHOWN = 100  # lines of one step on the page; the raw log has the rest
EVIDENCE = 12  # lines of a failed step shown as its evidence
_ARTICLE = {Role.ADMINISTRATOR: "an administrator", Role.OPERATOR: "an operator"}
_TOLD_APART = {"evidence", "preview", "diffs", "left", "refusals", "failed_step", "rolled_back", "stages", "transcript"}


@dataclass
class StepView:
    step: JobStep
    lines: list[str] = field(default_factory=list)
    earlier: int = 0  # lines before those shown

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def unfolded(self) -> bool:
        return self.step.state in (JobStep.State.RUNNING, JobStep.State.FAILED)


def person(user: User | None, viewer: User) -> str:
    """Who did something, in words `viewer` may read: customers do not learn other people's names."""
    if user is None:
        return "the panel"
    if user == viewer:
        return "you"
    return _ARTICLE.get(user.role, "a colleague") if viewer.role == Role.CUSTOMER else str(user)


def version(job: Job, waits: str = "") -> str:
    """Changes whenever the page of a live job would show something new, the passing of time left aside.
    waits: what it is told to wait for."""
    last = job.lines.aggregate(last=Max("number"))["last"] or 0
    states = dict(job.steps.order_by().values_list("state").annotate(Count("id")))
    counts = "".join(f"{state[0]}{states.get(state, 0)}" for state in JobStep.State.values)
    return f"{job.status}.{job.fence}.{last}.{counts}.{int(job.cancel_asked_at is not None)}.{crc32(waits.encode())}"


def steps(job: Job, seen: Discretion) -> list[StepView]:
    """Every step with its last lines, in two statements however many steps and lines there are."""
    views = {step.pk: StepView(seen.step(job, step)) for step in job.steps.all()}
    newest = Window(RowNumber(), partition_by=F("step"), order_by=F("number").desc())
    total = Window(Count("pk"), partition_by=F("step"))
    lines = JobLine.objects.filter(job=job).annotate(from_end=newest, of=total).filter(from_end__lte=SHOWN)
    for line in lines.order_by("number"):
        view = views[line.step_id]
        view.lines.append(seen.hide(job.server_id, line.text))
        view.earlier = line.of - SHOWN
    return list(views.values())


def evidence(job: Job, views: list[StepView]) -> str:
    """The server's own words about a failure."""
    if given := job.result.get("evidence"):
        return str(given)
    failed = [view for view in views if view.step.state == JobStep.State.FAILED and view.lines]
    return "\n".join(failed[-1].lines[-EVIDENCE:]) if failed else ""


def details(job: Job) -> list[tuple[str, str]]:
    """The plain values of a result, as pairs to show: queue_id -> "Queue id"."""
    return [
        (name.replace("_", " ").capitalize(), "yes" if value is True else "no" if value is False else str(value))
        for name, value in job.result.items()
        if name not in _TOLD_APART and isinstance(value, (str, int, float, bool)) and value != ""
    ]


def allowed(action: str, viewer: User) -> bool:
    """Whether `viewer` may ask for this action, and somebody still offers it."""
    try:
        return may(viewer, catalog.find(action)[1].permission)
    except catalog.UnknownAction:
        return False


def raw_log(job: Job, seen: Discretion) -> str:
    """All that was recorded, as text."""
    lines: dict[int, list[str]] = {}
    for step_id, text in job.lines.values_list("step", "text"):
        lines.setdefault(step_id, []).append(seen.hide(job.server_id, text))
    parts = [f"{job.action} on {job.server}: {job.get_status_display()}", seen.job(job).outcome]
    for step in (seen.step(job, step) for step in job.steps.all()):
        began = f"{step.started_at:%Y-%m-%d %H:%M:%S} UTC" if step.started_at else ""
        parts += ["", f"== {step.title} ({step.get_state_display()}) {began}".rstrip(), *lines.get(step.pk, [])]
    return "\n".join(parts) + "\n"
