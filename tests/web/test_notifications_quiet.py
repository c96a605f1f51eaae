"""Quiet hours against a clock that is looked at every minute; digests on days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from web.tenant.notifications import quiet

ZONES = ["Africa/Nairobi", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


minutes = st.integers(0, 1439).map(lambda n: time(n // 60, n % 60))
near_changes = st.sampled_from(
    [utc(day) for day in ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04")]
)


def looked_at_every_minute(moment: datetime, start: time, end: time, zone: ZoneInfo) -> datetime:
    while quiet.is_quiet(moment, start, end, zone):
        moment += MINUTE
    return moment


@given(st.sampled_from(ZONES), near_changes, st.integers(-1440, 2880), minutes, minutes)
@example("Europe/Berlin", utc("2026-03-29"), 30, time(22, 0), time(2, 30))
@example("Europe/Berlin", utc("2026-10-25"), 75, time(1, 0), time(2, 30))
@settings(max_examples=200, deadline=None)
def test_quiet_ends_when_a_clock_looked_at_every_minute_says_so(name, day, ahead, start, end):
    if start == end:
        return
    zone, moment = ZoneInfo(name), day + ahead * MINUTE
    assert quiet.quiet_until(moment, start, end, zone) == looked_at_every_minute(moment, start, end, zone)


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        (
            "2026-03-28T07:30",
            "2026-03-29T00:30",
        ),  # 01:30 the day before the jump: 02:30 is skipped, 03:30 comes
        ("2026-10-24T12:00", "2026-10-25T00:30"),  # 02:30 comes twice: the first
        ("2026-10-25T00:30", "2026-10-26T01:30"),  # and not the second
    ],
)
def test_a_daily_digest_comes_once_a_day(moment, due):
    zone = ZoneInfo("Europe/Berlin")
    found = quiet.next_daily(utc(moment), time(2, 30), zone)
    assert found in (utc(due), utc(due) + timedelta(hours=1)) and found > utc(moment)
    assert quiet.next_hour(utc("2026-10-25T00:30")) == utc("2026-10-25T01:00")
