"""When somebody may be disturbed: quiet hours and digests, on the wall clock of a zone. Pure.

Quiet means that the clock on that person's wall shows a time in [start, end), which may pass midnight. That
one sentence decides the odd days too: an hour that comes twice is quiet twice, and when the clocks jump over
the end, quiet ends with the jump.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def is_quiet(moment: datetime, start: time, end: time, zone: ZoneInfo) -> bool:
    wall = moment.astimezone(zone).time()
    return start <= wall < end if start < end else wall >= start or wall < end


def quiet_until(moment: datetime, start: time, end: time, zone: ZoneInfo) -> datetime:
    """The first instant from `moment` on that is not quiet, in UTC."""
    now = moment.astimezone(UTC)
    while is_quiet(now, start, end, zone):
        now = min(_wall_next(now, end, zone), _next_change(now, zone))
    return now


def _wall_next(now: datetime, target: time, zone: ZoneInfo) -> datetime:
    """When the wall clock would next show `target` if it were not changed before."""
    wall = now.astimezone(zone).replace(tzinfo=None)
    goal = datetime.combine(wall.date(), target)
    return now + ((goal if goal > wall else goal + DAY) - wall)


def _next_change(now: datetime, zone: ZoneInfo) -> datetime:
    """The first instant within a day at which the zone's offset changes; a day later when it does not."""
    offset, low = now.astimezone(zone).utcoffset(), now
    for _ in range(25):
        high = low + HOUR
        if high.astimezone(zone).utcoffset() != offset:
            break
        low = high
    else:
        return now + DAY
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def next_hour(moment: datetime) -> datetime:
    """The next full hour."""
    return moment.replace(minute=0, second=0, microsecond=0) + HOUR


def next_daily(moment: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The next instant later than `moment` at which a daily digest is due, in UTC.

    A time that the clocks skip comes as much later as they jump; of one that comes twice, the first counts.
    """
    day = moment.astimezone(zone).date()
    for ahead in range(3):
        due = datetime.combine(day + ahead * DAY, at, tzinfo=zone).astimezone(UTC)
        if due > moment:
            return due
    raise AssertionError("a day has a next day")
