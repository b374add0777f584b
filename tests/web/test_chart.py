"""The layout of the chart: pure, so no database."""

from datetime import date, timedelta

import pytest

from controlpanel.chart import LEAST, ceiling, stack

DAYS = [date(2026, 10, 25) + timedelta(days=n) for n in range(14)]
OUTCOMES = ("sent", "deferred", "bounced")


def number(percent: str) -> float:
    return float(percent.removesuffix("%"))


def test_parts_stand_on_each_other_and_the_whole_is_true():
    chart = stack(DAYS, OUTCOMES, {(DAYS[3], "sent"): 30, (DAYS[3], "deferred"): 10, (DAYS[4], "bounced"): 20})
    sent, deferred = chart.bars[3].segments
    assert (number(sent.height), number(deferred.height)) == (75, 25)
    assert number(sent.y) == 25
    assert number(deferred.y) == 0
    assert number(chart.bars[4].segments[0].height) == 50
    assert chart.lines == ((0, "100.00%"), (20, "50.00%"), (40, "0.00%"))


def test_every_day_has_its_place_in_order_and_within_the_plot():
    chart = stack(DAYS, OUTCOMES, {(day, "sent"): 1 for day in DAYS})
    places = [(number(bar.segments[0].x), number(bar.segments[0].width)) for bar in chart.bars]
    assert [bar.day for bar in chart.bars] == DAYS
    assert all(x + width <= 100 for x, width in places)
    assert all(after[0] > x + width for (x, width), after in zip(places, places[1:], strict=False))
    assert [bar.day.day for bar in chart.bars if bar.first] == [25, 1]


def test_one_refused_among_thousands_is_seen_and_the_bar_grows_no_taller():
    chart = stack(DAYS, OUTCOMES, {(DAYS[0], "sent"): 9999, (DAYS[0], "bounced"): 1})
    heights = [number(part.height) for part in chart.bars[0].segments]
    assert heights[1] == LEAST
    assert sum(heights) == pytest.approx(100, abs=0.02)


def test_counts_are_kept_with_those_of_days_without_any():
    chart = stack(DAYS, OUTCOMES, {(DAYS[0], "sent"): 3, (DAYS[13], "sent"): 4, (DAYS[13], "unheard-of"): 9})
    assert chart.totals == {"sent": 7, "deferred": 0, "bounced": 0}
    assert chart.total == 7
    assert chart.bars[1].counts == (("sent", 0), ("deferred", 0), ("bounced", 0))
    assert chart.bars[1].segments == ()


@pytest.mark.parametrize(
    ("totals", "top"), [([], 4), ([0, 0], 4), ([1], 4), ([5, 1], 6), ([9], 10), ([11], 20), ([62], 80), ([999], 1000)]
)
def test_the_scale_holds_the_highest_bar_and_has_a_whole_middle(totals, top):
    assert ceiling(totals) == top
    assert top % 2 == 0
