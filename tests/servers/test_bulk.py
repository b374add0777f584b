from datetime import UTC, datetime

import pytest

from servers.bulk import moment

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("02:00", datetime(2026, 11, 22, 2, tzinfo=UTC)),  # tonight
        ("13:30", datetime(2026, 11, 21, 13, 30, tzinfo=UTC)),
        ("12:00", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T02:00", datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("2026-11-22 02:00+02:00", datetime(2026, 11, 22, 0, tzinfo=UTC)),
        ("2026-13-22T02:00", None),
        ("0001-01-01T00:00+14:00", None),
        ("24:00", None),
        ("tonight", None),
    ],
)
def test_times_are_read_in_utc_unless_they_name_their_zone(text, meant):
    assert moment(text, NOON) == meant
