"""Quiet hours of a route. Pure."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def until(now: datetime, start: time | None, end: time | None, zone: str) -> datetime | None:
    """When the quiet hours that hold at `now` end; None outside of them. From 22:00 until 07:00 goes over midnight; the
    same time twice is no quiet hours. A wall clock that a change of time skips or repeats counts as the zone says."""
    if start is None or end is None or start == end:
        return None
    local = now.astimezone(ZoneInfo(zone))
    clock = local.time()
    over_midnight = start > end
    inside = (clock >= start or clock < end) if over_midnight else start <= clock < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1) if over_midnight and clock >= start else local.date()
    return max(datetime.combine(day, end, ZoneInfo(zone)).astimezone(UTC), now)
