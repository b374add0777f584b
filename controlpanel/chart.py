"""Bars over days, laid out: numbers in, places in percent out. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

FILL = 64  # percent of a day's room that its bar takes
LEAST = 2.0  # percent of the plot: one among thousands is still seen


@dataclass(frozen=True)
class Segment:
    """Part of a bar: x, y, width, height in percent of the plot, y from the top."""

    outcome: str
    count: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """middle: where its label stands. first: the month is written below it."""

    day: date
    counts: tuple[tuple[str, int], ...]  # every outcome, those nobody had included
    segments: tuple[Segment, ...]
    total: int
    middle: str
    first: bool


@dataclass(frozen=True)
class Chart:
    """bars: one a day, oldest first. lines: (value, y) of the grid. totals: {outcome: how many in all}."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[int, str], ...]
    totals: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.totals.values())


def stack(days: Sequence[date], outcomes: Sequence[str], counts: Mapping[tuple[date, str], int]) -> Chart:
    """`outcomes` from the bottom up; `counts` of anything else are left out."""
    top = ceiling(sum(counts.get((day, outcome), 0) for outcome in outcomes) for day in days)
    room = 100 / len(days)
    bars = []
    for number, day in enumerate(days):
        told = tuple((outcome, counts.get((day, outcome), 0)) for outcome in outcomes)
        x, y, segments = number * room + room * (100 - FILL) / 200, 100.0, []
        for outcome, count, height in _heights(told, top):
            if count:
                y -= height
                segments.append(Segment(outcome, count, _p(x), _p(y), _p(room * FILL / 100), _p(height)))
        first = number == 0 or day.day == 1
        total = sum(count for _, count in told)
        bars.append(Bar(day, told, tuple(segments), total, _p((number + 0.5) * room), first))
    lines = tuple((value, _p(100 - value * 100 / top)) for value in (0, top // 2, top))
    totals = {outcome: sum(dict(bar.counts)[outcome] for bar in bars) for outcome in outcomes}
    return Chart(tuple(bars), lines, totals)


def _heights(counts: Sequence[tuple[str, int]], top: int) -> list[tuple[str, int, float]]:
    """What the thin parts of a bar gain the thickest gives, so that the whole stays true."""
    true = [count * 100 / top for _, count in counts]
    seen = [max(height, LEAST) if height else 0.0 for height in true]
    thickest = max(range(len(seen)), key=seen.__getitem__)
    seen[thickest] = max(seen[thickest] - sum(seen) + sum(true), LEAST if true[thickest] else 0.0)
    return [(outcome, count, height) for (outcome, count), height in zip(counts, seen, strict=True)]


def ceiling(totals: Iterable[int]) -> int:
    """The top of the scale: the next of 4, 6, 8, 10, 20, 40, 60 … that holds every total; its half is a whole number.
    Never less than 4, so that a single email is no full bar."""
    highest = max(4, *totals, 0)
    power = 1
    while True:
        for step in (2, 4, 6, 8, 10):
            if step * power >= highest:
                return step * power
        power *= 10


def _p(value: float) -> str:
    return f"{value:.2f}%"
