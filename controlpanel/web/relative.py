"""Times and spans in words."""

from datetime import datetime

_UNITS = ((31_536_000, "y"), (2_592_000, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"))


def ago(moment: datetime, now: datetime) -> str:
    """ "just now", "12 min ago", "in 3 h": one unit is enough to judge freshness."""
    distance = (now - moment).total_seconds()
    size = abs(distance)
    if size < 45:
        return "just now" if distance >= 0 else "in a moment"
    for length, unit in _UNITS:
        if size >= length:
            return f"{int(size // length)} {unit} ago" if distance > 0 else f"in {int(size // length)} {unit}"
    return "1 min ago" if distance > 0 else "in 1 min"


def duration(seconds: float) -> str:
    """0.42 -> "0.4 s", 75 -> "1 min 15 s", 3725 -> "1 h 2 min"."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
