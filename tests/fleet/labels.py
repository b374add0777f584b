"""Which fleets there are, and whose. A label is a name under RUN and in everything a fleet owns."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fleet.host import FleetError

RUN = Path("/run/fleetpost-fleet")


def labels() -> list[str]:
    """Fleets that run or left something behind."""
    return sorted(path.name for path in RUN.glob("[a-z]*"))


def state_of(label: str) -> dict[str, Any] | None:
    """What up() wrote when all was running; None for a fleet still starting or half gone."""
    path = RUN / label / "state.json"
    return json.loads(path.read_text()) if path.exists() else None


@contextmanager
def reserved_label(prefix: str) -> Iterator[str]:
    """A label no living process holds: prefix, prefix2, …; what a dead holder left there may be swept."""
    for number in range(1, 100):
        label = prefix if number == 1 else f"{prefix}{number}"
        with held(label) as mine:
            if mine:
                yield label
                return
    raise FleetError(f"a hundred fleets named {prefix} are running")


def is_held(label: str) -> bool:
    """Whether a living process, such as a test run, has reserved the label."""
    with held(label) as mine:
        return not mine


@contextmanager
def held(label: str) -> Iterator[bool]:
    """True inside when the label was free and is ours until the end; the kernel frees a dead process's."""
    RUN.mkdir(parents=True, exist_ok=True)
    with open(RUN / f".{label}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
