"""How the jobs of one batch are let loose: canary, waves, limits, a time. Pure but for `advance`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Policy:
    """The plain one lets every job go at once.

    canary: so many servers first; the rest only if every one of them succeeded.
    portion: after the canary, waves of this % of all servers; the next wave begins when the one before has ended.
    stop_after, stop_percent: failures (unreachable servers included) after which nothing more begins.
    concurrency: how many of the batch's jobs are at work at once.
    order: "name" | "random".
    starts_at, ends_at: nothing begins before, and nothing that has not begun begins after.
    """

    canary: int = 0
    portion: int | None = None
    stop_after: int | None = None
    stop_percent: int | None = None
    concurrency: int | None = None
    order: str = "name"
    starts_at: datetime | None = None
    ends_at: datetime | None = None


PLAIN = Policy()
