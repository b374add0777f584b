"""Hands a plan to the server and follows it to its end, through lost connections, lost workers and reboots."""

import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from controlpanel.access.models import PanelIdentity
from servers.jobs.journaled import Journal
from servers.jobs.models import Job, JobStep
from servers.jobs.outcomes import Applied, Cancelled, LostContact
from servers.remote import detached, errors
from servers.remote.host import Limits, RemoteError
from servers.remote.journal import StepState
from servers.remote.plan import Plan

if TYPE_CHECKING:
    from servers.jobs.run import Run

PATIENCE = 60.0  # seconds of silence until contact counts as lost
UNHURRIED = Limits(total=6 * 3600.0, idle=30.0, output=10_000)  # the steps' own limits end them, on the server
TAIL = 20  # lines of a failed step
CANCEL_CHECK = 2.0  # seconds between looks for somebody's wish to cancel
FENCES = 10_000  # numbers kept for the claims of one job
_FINAL = (  # trying again at once helps nobody, and a server counts failed sign-ins
    errors.HostKeyChanged,
    errors.HostKeyUnknown,
    errors.SignInRefused,
    errors.KeyUnusable,
    errors.RootRefused,
    errors.TooOld,
)
_REFUSED = {
    "busy": ("Another run is at work on this server.", "Wait until it has ended, then retry."),
    "disk": ("The server could not store the job", "Free some space on the server, then retry."),
    "fork": ("The server could not start the job", "Look at its memory and number of processes, then retry."),
    "perl": ("The server has no perl.", "Install the package perl-base there, then retry."),
    "fence": ("The server has seen a newer order of this panel.", "Retry; if it stays, was a backup restored?"),
}


def apply(run: "Run", plan: Plan) -> Applied:
    """See Run.apply."""
    following = _Following(run, plan)
    fence = run.job.pk * FENCES + run.job.fence
    panel = str(PanelIdentity.objects.get_or_create(id=1)[0].token)
    run.lease.renew(submitted_at=timezone.now(), journal_offset=0)
    run.handed_over, run.applied = True, None
    for _ in range(3):
        following.follow(detached.submit_script(plan, str(run.job.token), fence, panel), detached.limits(plan))
        if following.journal.progress.refused != "fence":
            break
        # The lease says this claim is the newest; a restored backup or clock made an older order look newer.
        run.lease.renew()
        fence = _number(following.journal.progress.detail) + 1
    return following.conclude()


def reattach(run: "Run") -> Applied | None:
    """See Run.reattach."""
    following = _Following(run, recorded=run.job.journal_offset)
    following.follow(None, UNHURRIED)
    if following.journal.progress.refused == "unknown":
        run.handed_over = False
        run.lease.renew(submitted_at=None, journal_offset=0, lost_at=None)
        return None
    return following.conclude()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


class _Following:
    """One run on the server, followed until it is over."""

    def __init__(self, run: "Run", plan: Plan | None = None, recorded: int = 0):
        self.run = run
        self.token = str(run.job.token)
        self.journal = Journal(run.recorder, plan, recorded)
        self._heard = self._cancel_checked = time.monotonic()
        self._spoken = False
        self._cancel_sent = False

    def follow(self, submit, limits: Limits) -> None:
        """Streams the journal until it is over; the first script is `submit` if there is one, and again if a lost
        connection kept it from arriving. Raises LostContact."""
        script, pause = submit, 0.5
        self._heard = time.monotonic()
        while True:
            heard, failure = self._heard, None
            try:
                self._stream(script, limits)
            except RemoteError as error:
                failure = error
            arrived = submit is None or self.journal.progress.refused != "unknown"
            if self.journal.over and arrived:
                return
            self._lost(failure or errors.LostContact("The server's account of the job ended too early."))
            script = None if arrived else submit
            pause = 0.5 if self._heard > heard else min(pause * 2, 15.0)
            threading.Event().wait(pause)

    def _stream(self, script, limits: Limits) -> None:
        self.journal.ask_again()
        script = script or detached.follow_script(self.token, self.journal.reader.offset)
        self.run.connect().run(script, limits=limits, on_stdout=self._hear)

    def conclude(self) -> Applied:
        """The end of the run as a value. Raises Cancelled, errors.Refused, LostContact."""
        progress = self.journal.progress
        if progress.refused or progress.verdict == "busy":
            self._new_token(submitted_at=None)
            self.run.handed_over = False
            what, fix = _REFUSED.get(progress.refused or "busy", ("The server did not take the job.", "Retry."))
            error = errors.Refused(f"{what}: {progress.detail}" if not what.endswith(".") else what, fix)
            error.cause = f"refused-{progress.refused or 'busy'}"
            raise error
        if progress.interrupted:
            return self._recovered()
        failed = progress.failed_step
        if progress.verdict == "failed" and failed is None:  # the journal had no room left, so no step was begun
            failed = StepState(0, "journal", "Keep a journal")
        self.run.applied = Applied(
            changed=(progress.changed or failed is not None) and not progress.rolled_back,
            failed_step=failed.slug if failed else "",
            failed_title=failed.title if failed else "",
            tail=self.run.masked("\n".join(failed.lines[-TAIL:])) if failed else "",
            rolled_back=progress.rolled_back,
        )
        if progress.verdict == "cancelled":
            raise Cancelled
        return self.run.applied

    def _recovered(self) -> Applied:
        """Puts back what a run that was cut short had begun; the next try needs another token."""
        self.follow(detached.recover_script(self.token, self.journal.reader.offset), UNHURRIED)
        progress = self.journal.progress
        if progress.verdict != "interrupted":
            raise LostContact("The work on the server was cut short, and putting it back as well.")
        self._new_token()
        changed = any(s.state in ("changed", "interrupted") for s in progress.steps) and not progress.rolled_back
        self.run.applied = Applied(changed=changed, rolled_back=progress.rolled_back, finished=False)
        return self.run.applied

    def _new_token(self, **fields) -> None:
        """The server takes each token once."""
        self.journal.close(JobStep.State.FAILED)
        self.run.job.token = uuid.uuid4()
        self.run.lease.renew(token=self.run.job.token, journal_offset=0, **fields)

    def _hear(self, data: bytes) -> None:
        self._heard, self._spoken = time.monotonic(), True
        self.run.lease.check()
        if self.run.job.lost_at:
            self.run.job.lost_at = None
            self.run.lease.renew(lost_at=None)
        self.journal.feed(data)
        if not self._cancel_sent and self._heard - self._cancel_checked > CANCEL_CHECK:
            self._cancel_checked = self._heard
            self._pass_on_cancel()

    def _pass_on_cancel(self) -> None:
        """The server stops before its next step and puts the earlier ones back."""
        if Job.objects.filter(pk=self.run.job.pk, cancel_asked_at__isnull=False).exists():
            with suppress(RemoteError):  # asked again with the next sign of life
                self.run.connect().run(detached.cancel_script(self.token))
                self._cancel_sent = True

    def _lost(self, error: RemoteError) -> None:
        """Raises LostContact when another try at once makes no sense or patience is used up."""
        self.run.hang_up()
        # A run taken up again leaves the waiting to the sweeper, whose pauses take no worker's thread.
        taken_up = self.run.resumed and not self._spoken
        patience = 0 if taken_up else getattr(settings, "JOB_PATIENCE_SECONDS", PATIENCE)
        if isinstance(error, _FINAL) or time.monotonic() - self._heard > patience:
            self.run.flush()
            raise LostContact(str(error), cause=error.cause, hint=error.hint) from error
