"""Runs one job from claim to end, whatever happens in between."""

import logging
import traceback

from django.db import InterfaceError, OperationalError, connection

from servers import catalog, trust
from servers.jobs import machine, rollout
from servers.jobs.lease import LeaseLost
from servers.jobs.models import Job
from servers.jobs.outcomes import Cancelled, Conclusion, LostContact, Revoked
from servers.jobs.run import Dial, Run, dial
from servers.remote.errors import HostKeyChanged
from servers.remote.host import RemoteError

log = logging.getLogger(__name__)
AWAY = (OperationalError, InterfaceError)  # what a database raises that restarts or is out of reach
AFTER_DOUBT = "What was handed to the server may still be at work there; the panel looks again by itself."


def run(job_id: int, dial: Dial = dial) -> None:
    """Does the job if nobody else has it: delivering a bell twice runs it once."""
    job = machine.claim(job_id)
    if job is not None:
        work(job, dial)


def run_here(job: Job, dial: Dial = dial) -> Job:
    """Does a job in this process and returns its row as it is afterwards; for a command line without a worker."""
    run(job.pk, dial)
    job.refresh_from_db()
    return job


def work(job: Job, dial: Dial = dial) -> None:
    """Does a job that is claimed, then lets the next of its batch go where the batch goes bit by bit."""
    with Run(job, dial) as run:
        try:
            _attempt(run)
        except LeaseLost:
            log.warning("Job %s is no longer ours; this worker stops acting on it.", job.pk)
        except AWAY as error:  # nothing can be written now: the row is as a lost worker leaves it, and taken up again
            log.warning("The database was away during job %s (%s): it is taken up again.", job.pk, type(error).__name__)
            if not connection.in_atomic_block:
                connection.close()  # or this thread's next job meets the broken one
            return
    _advance(job)


def _advance(job: Job) -> None:
    if job.batch.paced:
        try:
            rollout.advance(job.batch_id)
        except Exception:  # the sweeper does it again; this job has ended well
            log.exception("Batch %s could not go on after job %s; the sweeper tries again.", job.batch_id, job.pk)


def _attempt(run: Run) -> None:
    """Raises LeaseLost, and what is AWAY; everything else becomes the end of the job."""
    try:
        _, action = catalog.find(run.job.action)
        run.check_wanted(run.job)
        _conclude(run, action.run(run))
    except (LeaseLost, *AWAY):
        raise
    except Revoked:
        _revoke(run)
    except Cancelled:
        _stop(run)
    except LostContact as error:
        _note_changed_key(run, error.__cause__)
        _lose(run, str(error), cause=error.cause, hint=error.hint)
    except RemoteError as error:
        _remote_error(run, error)
    except Exception as error:
        _panel_error(run, error)


def _finish(run: Run, ending: str, **fields) -> None:
    """The end, and what was recorded until then, in one transaction. Raises LeaseLost."""
    run.recorder.end(lambda record: machine.finish(run.job, ending, record=record, **fields))


def _conclude(run: Run, conclusion: Conclusion) -> None:
    _finish(
        run,
        "succeed" if conclusion.succeeded else "fail",
        outcome=run.masked(conclusion.outcome),
        changed=conclusion.changed,
        cause=conclusion.cause,
        hint=run.masked(conclusion.hint),
        result=run.masked_tree(conclusion.result),
    )


def _stop(run: Run) -> None:
    outcome = "Cancelled between two steps."
    if run.applied:
        outcome += " Everything was put back." if run.applied.rolled_back else " Not everything was put back."
    _finish(run, "stop", outcome=outcome, cause="cancelled", changed=run.changed)


def _revoke(run: Run) -> None:
    _finish(
        run,
        "stop",
        outcome="Stopped before anything was handed to the server: whoever asked for it may no longer do this here.",
        cause="revoked",
        hint="Somebody who may can ask again.",
        changed=run.changed,
    )


def _lose(run: Run, outcome: str, cause: str = "lost-contact", hint: str = "") -> None:
    """The sweeper tries again later; when somebody asked to cancel meanwhile, this was the last try."""
    outcome = run.masked(outcome)
    run.flush()
    run.job.refresh_from_db(fields=["cancel_asked_at"])
    lost = machine.lose_contact(run.job, outcome=outcome, cause=cause, hint=run.masked(hint) or AFTER_DOUBT)
    if lost and run.job.cancel_asked_at:
        machine.give_up(
            run.job,
            outcome=f"Given up on request; whether the work handed to the server was finished is not known. {outcome}",
            cause=cause,
            hint="Retry when the server answers again: it is looked at first, and only what differs is changed.",
        )


def _remote_error(run: Run, error: RemoteError) -> None:
    """Before anything was handed over an unreachable server has failed the job. After that nobody knows."""
    _note_changed_key(run, error)
    if run.handed_over:
        _lose(run, str(error), cause=error.cause, hint=error.hint)
        return
    _finish(run, "fail", outcome=run.masked(str(error)), cause=error.cause, hint=run.masked(error.hint), changed=False)


def _note_changed_key(run: Run, error: BaseException | None) -> None:
    """Whoever meets a changed key first blocks the server."""
    if isinstance(error, HostKeyChanged) and not error.at_jump:
        trust.offer_host_keys(run.server, [error.offered] if error.offered else [])


def _panel_error(run: Run, error: Exception) -> None:
    job = run.job
    log.error("Job %s (%s on %s) broke:\n%s", job.pk, job.action, job.server, run.masked(traceback.format_exc()))
    if run.in_doubt:  # ending it now would free the server while the script is still changing it
        _lose(run, f"The panel broke while following this job ({type(error).__name__}).", cause="panel-error")
        return
    known = bool(getattr(error, "hint", ""))  # one of ours, with a sentence for the operator
    _finish(
        run,
        "error",
        outcome=(type(error).__doc__ or "").splitlines()[0] if known else f"The panel broke ({type(error).__name__}).",
        cause="panel-error",
        hint=error.hint if known else f"The panel's own log has the details, under job {job.pk}. Retry, or report it.",
        changed=run.changed,
    )
