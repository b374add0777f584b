"""The doorbell: tells the broker that a job waits. A lost ring costs seconds, because the sweeper rings again."""

import atexit
import logging
import queue
import threading
from contextlib import suppress

from controlpanel.celery import app

log = logging.getLogger(__name__)
_TASK = "servers.jobs.tasks.run"
_outbox: "queue.Queue[int]" = queue.Queue(maxsize=10_000)
_ringer: threading.Thread | None = None
_starting = threading.Lock()


def ring(job_ids: list[int]) -> None:
    """Returns at once and never raises: a page must not wait for a broker that is down or silent."""
    global _ringer
    for job_id in job_ids:
        with suppress(queue.Full):
            _outbox.put_nowait(job_id)
    with _starting:
        if _ringer is None or not _ringer.is_alive():
            _ringer = threading.Thread(target=_send, name="doorbell", daemon=True)
            _ringer.start()


def _send() -> None:
    while True:
        job_id = _outbox.get()
        try:
            app.send_task(_TASK, args=(job_id,), retry=False)
        except Exception as error:  # every transport has its own errors; the row stays the truth
            log.warning("The broker was not told about job %s (%s); the sweeper tells it later.", job_id, error)
            _forget_the_rest()
        finally:
            _outbox.task_done()


def _forget_the_rest() -> None:
    """Each would wait for the same broker in turn, and be stale when it came back."""
    with suppress(queue.Empty):
        while True:
            _outbox.get_nowait()
            _outbox.task_done()


@atexit.register
def _finish_ringing() -> None:
    """A command line that ends right after asking gives its rings two seconds to leave."""
    done = threading.Thread(target=_outbox.join, daemon=True)
    done.start()
    done.join(2)
