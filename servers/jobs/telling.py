"""How a batch is let loose and what a waiting job waits for, in words. Pure."""

from datetime import datetime

from django.utils import timezone

from servers.jobs.models import Batch, Job, Pause, Status
from servers.jobs.rollout import Policy


def policy(of: Policy | Batch, *, clock: bool = True) -> str:
    """ "First 2 servers, then 20 % at a time; stops after 3 failures." "" when everything goes at once.
    clock: the times too."""
    parts = [_waves(of), _stops(of)]
    if of.concurrency:
        parts.append(f"at most {of.concurrency} at once")
    if getattr(of, "order", "name") == "random":
        parts.append("in random order")
    if clock and of.starts_at:
        parts.append(f"begins {moment(of.starts_at)}")
    if clock and of.ends_at:
        parts.append(f"nothing begins after {moment(of.ends_at)}")
    text = "; ".join(filter(None, parts))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _waves(of: Policy | Batch) -> str:
    first = f"first {_servers(of.canary)}, then " if of.canary else ""
    if of.portion:
        return f"{first}{of.portion} % at a time"
    return f"{first}the rest if all succeed" if first else ""


def _stops(of: Policy | Batch) -> str:
    limits = []
    if of.stop_after:
        limits.append(f"{of.stop_after} failure{'' if of.stop_after == 1 else 's'}")
    if of.stop_percent:
        limits.append(f"{of.stop_percent} % failures")
    return f"stops after {' or '.join(limits)}" if limits else ""


def wave(batch: Batch, last: int) -> str:
    """Which part of the servers is at work; `last`: the number of the last wave. "" when there is only one."""
    if not last:
        return ""
    if batch.canary and batch.wave == 0:
        return f"The first {_servers(batch.canary)} {'is' if batch.canary == 1 else 'are'} on trial."
    return f"Wave {batch.wave + 1} of {last + 1}."


def waits(job: Job, batch: Batch, *, pause: Pause | None, workers: bool, now: datetime) -> str:
    """Why a queued job has not begun; "" when nothing keeps it from beginning, and for all others."""
    if job.status != Status.QUEUED:
        return ""
    if pause is not None:
        return "All jobs are paused."
    if job.released_at is None:
        if batch.starts_at and batch.starts_at > now:
            return f"Scheduled for {moment(batch.starts_at)}."
        if job.wave > batch.wave and batch.canary and batch.wave == 0:
            return f"Waits until the first {_servers(batch.canary)} succeeded."
        return f"Waits for wave {job.wave + 1}." if job.wave > batch.wave else "Waits for its turn."
    return "" if workers else "No worker is running."


def moment(when: datetime) -> str:
    local = timezone.localtime(when)
    return f"{local.day} {local:%b, %H:%M %Z}"


def _servers(count: int) -> str:
    return "server" if count == 1 else f"{count} servers"
