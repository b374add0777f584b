"""What an action gets to work with, and what it gives back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from servers.jobs.models import Job
from servers.models import Server
from servers.remote.host import Host
from servers.remote.plan import Plan


@dataclass(frozen=True)
class Conclusion:
    """How a run ended. outcome: one true sentence. cause: slug for grouping failures. hint: the next move."""

    succeeded: bool
    outcome: str
    changed: bool = False
    cause: str = ""
    hint: str = ""
    result: dict = field(default_factory=dict)


class Run:
    """Placeholder for the contract; the job machine's owner fills it in."""

    job: Job
    server: Server
    options: dict
    resumed: bool  # an earlier worker was lost after it handed a script to the server

    def connect(self) -> Host:
        """The one connection of this job, opened on first use with the server's pinned keys, closed by the runner."""
        raise NotImplementedError

    @contextmanager
    def step(self, slug: str, title: str) -> Iterator["StepLog"]:
        """Records a JobStep around panel-side work (observe, prove credentials). An exception marks it failed."""
        raise NotImplementedError

    def apply(self, plan: Plan) -> "Applied":
        """Hands the plan to the server as one detached script, follows its journal into JobSteps, and re-attaches after
        a lost connection. Raises LostContact when the server stays away."""
        raise NotImplementedError

    def check_cancelled(self) -> None:
        """Raises Cancelled when somebody asked for it; call between steps."""
        raise NotImplementedError


@dataclass(frozen=True)
class Applied:
    """What the journal says. failed_step: slug or "". rolled_back: every undo of the failed plan ran clean."""

    changed: bool
    failed_step: str = ""
    failed_title: str = ""
    tail: str = ""  # last lines of the failed step, masked
    rolled_back: bool = False


class StepLog:
    line: Callable[[str], None]
    changed: Callable[[], None]
    unchanged: Callable[[], None]
    skip: Callable[[str], None]
