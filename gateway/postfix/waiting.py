"""Since when mail waits in the queue, and why, as Postfix itself tells it. The queue's files do not: the time stamp of
one that waits is that of its next try, which lies in the future."""

import json
from dataclasses import dataclass

SECONDS, DISTINCT, TOLD = 10, 200, 3  # of a long queue only as much is read as this time allows

_AWK = f"""
match($0, /"arrival_time": [0-9]+/) {{
  arrival = substr($0, RSTART + 16, RLENGTH - 16)
  if (!oldest || arrival + 0 < oldest + 0) oldest = arrival
}}
match($0, /"delay_reason": "([^"\\\\]|\\\\.)*"/) {{
  reason = substr($0, RSTART + 16, RLENGTH - 16)
  if (reason in count || distinct++ < {DISTINCT}) count[reason]++
}}
END {{
  print oldest
  fflush()
  for (reason in count) print count[reason], reason | "sort -rn | head -n {TOLD}"
}}
"""


@dataclass(frozen=True)
class Waiting:
    """since: epoch of the oldest arrival, 0 when nothing waits or nothing is known. reasons: the commonest first."""

    since: float
    reasons: tuple[str, ...]


def script(directories: str) -> str:
    """POSIX sh; asks Postfix only when there is a file in one of the directories."""
    return f"""
[ -z "$(find {directories} -type f -print -quit 2>/dev/null)" ] ||
  timeout {SECONDS} postqueue -j 2>/dev/null | awk '{_AWK}'
"""


def parse(text: str) -> Waiting:
    first, *rows = text.splitlines() or [""]
    reasons = [_reason(quoted) for _, _, quoted in (row.strip().partition(" ") for row in rows)]
    return Waiting(float(first) if first.isdigit() else 0.0, tuple(filter(None, reasons)))


def _reason(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return ""
