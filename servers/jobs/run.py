"""What an action gets to work with, and what it gives back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string

from controlpanel.access.gate import may
from controlpanel.access.models import User
from servers import catalog
from servers.jobs import follow, machine
from servers.jobs.lease import Lease, keeper
from servers.jobs.lines import Masker
from servers.jobs.models import Job, JobStep
from servers.jobs.outcomes import Applied, Cancelled, Conclusion, LostContact, Revoked
from servers.jobs.record import Recorder
from servers.models import Server, sees_all
from servers.remote.host import Host, Limits, Login, Output
from servers.remote.plan import Plan
from servers.remote.secret import Secret

__all__ = ["Applied", "Cancelled", "Conclusion", "LostContact", "Run", "StepLog"]
State = JobStep.State
Dial = Callable[[Login], Host]
WISH_SECONDS = 1.0  # between looks for somebody's wish to stop, while a run only looks at its server


def dial(login: Login) -> Host:
    """Opens the wire: SSH, unless the settings name another one, as tests do. Web processes never load paramiko."""
    return import_string(getattr(settings, "JOB_WIRE", "servers.remote.ssh.connect"))(login)


def rest() -> None:
    """Before a wait for a server: gives this thread's connection back to the pool, for another thread to use. Without a
    pool (SQLite) it is kept, because opening one costs more."""
    if "pool" in connection.settings_dict["OPTIONS"] and not connection.in_atomic_block:
        connection.close()


class Resting:
    """A host whose scripts are waited for at rest."""

    def __init__(self, host: Host):
        self._host = host

    def run(self, script, *, limits: Limits = Limits(), on_stdout=None) -> Output:  # noqa: B008 - a frozen value
        rest()
        return self._host.run(script, limits=limits, on_stdout=on_stdout)

    def __getattr__(self, name: str):
        return getattr(self._host, name)


class StepLog:
    """One open step. Its state when the block ends: what was said last, else "unchanged"."""

    def __init__(self, recorder: Recorder, step: JobStep):
        self._recorder = recorder
        self._step = step
        self.state: str = State.UNCHANGED

    def line(self, text: str | bytes) -> None:
        """Records output, one line or several. Masked, cleaned and capped on the way."""
        self._recorder.line(self._step, text.decode("utf-8", "replace") if isinstance(text, bytes) else text)

    def changed(self) -> None:
        self.state = State.CHANGED

    def unchanged(self) -> None:
        self.state = State.UNCHANGED

    def failed(self) -> None:
        self.state = State.FAILED

    def skip(self, why: str = "") -> None:
        self.state = State.SKIPPED
        if why:
            self.line(why)


class Run:
    """One claim of one job, from `with Run(job) as run` to the end of the block.

    resumed: an earlier worker was lost after it handed a script to the server; `apply` and `reattach` find that one.
    handed_over: a script was, or may have been, given to the server under this job's token.
    """

    def __init__(self, job: Job, dial: Dial = dial):
        self.job = job
        self.server: Server = job.server
        self.options: dict = job.batch.options
        self.resumed = self.handed_over = job.submitted_at is not None
        self.applied: Applied | None = None  # what the journal said, once it is known
        self.lease = Lease(job, on_lost=self.hang_up)
        self._masker = Masker()
        self.recorder = Recorder(self.lease, self._masker)
        self._dial = dial
        self._host: Host | None = None
        self._asked = time.monotonic()  # the row was read when it was claimed

    def __enter__(self) -> "Run":
        # Steps an earlier worker was in the middle of; those of the server go on by themselves.
        if self.job.fence > 1 and not self.handed_over:
            machine.close_steps(self.job, State.SKIPPED, timezone.now())
        keeper.add(self)
        return self

    def __exit__(self, *error) -> None:
        keeper.remove(self)
        self.hang_up()

    def connect(self) -> Host:
        """The one connection of this job, opened on first use with the server's pinned keys, closed by the runner.

        Raises RemoteError; LeaseLost when another worker holds the job.
        """
        self.lease.check()
        if self._host is None:
            login = self.server.login()
            for secret in login.secrets():
                self.mask(secret)
            rest()
            self._host = Resting(self._dial(login))
        return self._host

    def hang_up(self) -> None:
        """Closes the connection; the next `connect` opens a new one."""
        host, self._host = self._host, None
        if host is not None:
            with suppress(Exception):  # closing what is already broken
                host.close()

    def mask(self, secret: Secret | None) -> None:
        """From here on no recorded line shows this secret. Call it for every secret the action works with; those of
        the sign-in and of the plan are known already."""
        self._masker.add(secret)

    def masked(self, text: str) -> str:
        return self._masker(text)

    def masked_tree(self, value):
        """`value` (JSON) with every text in it masked."""
        if isinstance(value, str):
            return self._masker(value)
        if isinstance(value, dict):
            return {str(key): self.masked_tree(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.masked_tree(inner) for inner in value]
        return value

    @property
    def in_doubt(self) -> bool:
        """Whether a script may be at work on the server right now."""
        return self.handed_over and self.applied is None

    @property
    def changed(self) -> bool:
        return bool(self.applied and self.applied.changed)

    @contextmanager
    def step(self, slug: str, title: str) -> Iterator[StepLog]:
        """Records a JobStep around panel-side work (observe, prove credentials). An exception marks it failed."""
        self.check_cancelled()
        log = StepLog(self.recorder, self.recorder.open(slug, title))
        try:
            yield log
        except Cancelled:
            log.skip()
            raise
        except Exception:
            log.failed()
            raise
        finally:
            if not self.lease.lost:
                self.recorder.close(log._step, log.state)

    def apply(self, plan: Plan) -> Applied:
        """Hands the plan to the server as one detached script, follows its journal into JobSteps, and re-attaches after
        a lost connection. A resumed run attaches to the script handed over earlier instead of submitting again.
        Raises LostContact when the server stays away, Cancelled when it stopped on request and put everything back,
        errors.Refused when it did not take the script."""
        if self.resumed and self.in_doubt:
            earlier = follow.reattach(self)
            if earlier is not None and earlier.finished:
                return earlier
        self.lease.check()
        self._ask()
        return follow.apply(self, plan)

    def reattach(self) -> Applied | None:
        """Follows the script an earlier worker handed over, to its end. None: the server never got it."""
        return follow.reattach(self) if self.in_doubt else self.applied

    def check_cancelled(self) -> None:
        """Raises Cancelled when somebody asked for it, Revoked when whoever asked for the job lost the right to it,
        LeaseLost when another worker holds the job. Call it between steps; opening a step does. Asks the database once
        in WISH_SECONDS. Once the server has its script the run goes on to a true conclusion."""
        self.lease.check()
        if not self.handed_over and time.monotonic() - self._asked >= min(WISH_SECONDS, settings.JOB_HEARTBEAT_SECONDS):
            self._ask()

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self.check_wanted(Job.objects.select_related("batch__asked_by").get(pk=self.job.pk))

    def check_wanted(self, job: Job) -> None:
        """Whether this row, read a moment ago, is still wanted by somebody who may want it."""
        if self.handed_over:
            return
        if job.cancel_asked_at:
            raise Cancelled
        self._check_right(job.batch.asked_by)

    def _check_right(self, person: User | None) -> None:
        """Jobs of the panel itself and of the command line are nobody's."""
        if person is None:
            return
        seen = sees_all(person) or Server.objects.visible_to(person).filter(pk=self.server.pk).exists()
        if not (seen and may(person, catalog.find(self.job.action)[1].permission)):
            raise Revoked

    def flush(self) -> None:
        self.recorder.flush()
