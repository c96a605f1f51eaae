"""Opening hours: weekly windows in a zone of the IANA database, holidays, and the arithmetic of open time.

A window is a pair of minutes since local midnight, [from, to) with 0 <= from < to <= 1440: "open" means that
a clock on the wall in that zone shows a time inside a window of its own date. An exception replaces a date's
windows: none is a holiday, others are special hours. Everything else follows from that sentence, also on the
days when clocks are changed: an hour that is skipped is not open, an hour that comes twice is open twice.

A date is turned into intervals of instants once and remembered; all arithmetic is on integers of microseconds
(see clock.py), so adding and measuring are exact inverses. What can never be reached (a calendar that stays
closed) raises NeverOpen after LOOK_AHEAD days instead of searching for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from telephony.contract.clock import Duration, Instant, to_datetime

Window = tuple[int, int]
Interval = tuple[Instant, Instant]

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MINUTES_A_DAY = 1440
MINUTE: Duration = 60_000_000
DAY: Duration = MINUTES_A_DAY * MINUTE
LOOK_AHEAD = 3700
MAX_WINDOWS, MAX_EXCEPTIONS = 24, 2000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_HOUR: Duration = 60 * MINUTE
# No zone has ever been further from UTC than this, nor changed its clocks twice within _STEP.
_WIDEST: Duration = 16 * _HOUR
_STEP: Duration = 8 * _HOUR


class NeverOpen(ValueError):
    """The calendar does not open often enough to get there within LOOK_AHEAD days."""


@dataclass(frozen=True)
class Calendar:
    """`weekly[0]` is Monday's windows; `exceptions` are (ISO date, its windows), sorted by date."""

    zone: str
    weekly: tuple[tuple[Window, ...], ...]
    exceptions: tuple[tuple[str, tuple[Window, ...]], ...] = ()

    def windows_of(self, day: date) -> tuple[Window, ...]:
        """The windows of one local date."""
        text = day.isoformat()
        place = bisect_right(self.exceptions, (text, ((MINUTES_A_DAY + 1, 0),))) - 1
        if place >= 0 and self.exceptions[place][0] == text:
            return self.exceptions[place][1]
        return self.weekly[day.weekday()]


ALWAYS = Calendar("UTC", (((0, MINUTES_A_DAY),),) * 7)
"""Calendar time: open day and night."""


# --- reading ------------------------------------------------------------------------------------------------


def calendar_from(data: Mapping[str, Any]) -> Calendar:
    """A calendar from JSON; ValueError says what is wrong.

    {"zone": "Africa/Nairobi", "weekly": {"monday": [["08:00", "17:00"]]}, "exceptions": {"2026-12-25": []}}
    A day that is not named is closed; "24:00" ends a day.
    """
    zone = data.get("zone")
    if not isinstance(zone, str) or not known_zone(zone):
        raise ValueError("zone: the name of a zone such as Africa/Nairobi")
    weekly, exceptions = data.get("weekly", {}), data.get("exceptions", {})
    if not isinstance(weekly, Mapping) or set(weekly) - set(DAYS):
        raise ValueError(f"weekly: an object whose names are among {', '.join(DAYS)}")
    if not isinstance(exceptions, Mapping) or len(exceptions) > MAX_EXCEPTIONS:
        raise ValueError(f"exceptions: an object of at most {MAX_EXCEPTIONS} dates")
    return Calendar(
        zone,
        tuple(windows_from(weekly.get(day, []), f"weekly: {day}") for day in DAYS),
        tuple(
            sorted(
                (_date(text), windows_from(rows, f"exceptions: {text}")) for text, rows in exceptions.items()
            )
        ),
    )


def calendar_as_json(calendar: Calendar) -> dict[str, Any]:
    """What `calendar_from` reads, with every day that has windows and every exception."""
    return {
        "zone": calendar.zone,
        "weekly": {
            day: _as_texts(windows) for day, windows in zip(DAYS, calendar.weekly, strict=True) if windows
        },
        "exceptions": {day: _as_texts(windows) for day, windows in calendar.exceptions},
    }


def windows_from(rows: Any, where: str = "windows") -> tuple[Window, ...]:
    """[["08:00", "12:00"], ["13:00", "17:00"]] as sorted windows; ValueError when they overlap."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or len(rows) > MAX_WINDOWS:
        raise ValueError(f"{where}: a list of at most {MAX_WINDOWS} pairs of times")
    windows = []
    for row in rows:
        if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != 2:
            raise ValueError(f"{where}: each window is a pair of times")
        windows.append((_minutes(row[0], where), _minutes(row[1], where)))
    windows.sort()
    if any(start >= end for start, end in windows):
        raise ValueError(f"{where}: a window ends after it begins; over midnight it is two windows")
    if any(first[1] > second[0] for first, second in pairwise(windows)):
        raise ValueError(f"{where}: windows overlap")
    return tuple(windows)


def known_zone(name: str) -> bool:
    """Whether the IANA database of this machine has the zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _minutes(text: Any, where: str) -> int:
    hours, colon, minutes = text.partition(":") if isinstance(text, str) else ("", "", "")
    two = len(hours) == len(minutes) == 2 and text.isascii()
    if not (colon and two and hours.isdigit() and minutes.isdigit()):
        raise ValueError(f"{where}: times are written HH:MM")
    value = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or value > MINUTES_A_DAY:
        raise ValueError(f"{where}: times lie between 00:00 and 24:00")
    return value


def _date(text: Any) -> str:
    try:
        if isinstance(text, str) and len(text) == 10:
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError("exceptions: dates are written YYYY-MM-DD")


def _as_texts(windows: Sequence[Window]) -> list[list[str]]:
    return [[f"{minute // 60:02d}:{minute % 60:02d}" for minute in window] for window in windows]


# --- asking -------------------------------------------------------------------------------------------------


def is_open(calendar: Calendar, at: Instant) -> bool:
    """Whether `at` lies in an open interval (its first instant does, its last does not)."""
    return any(start <= at < end for start, end in _of_day(calendar, _local_day(calendar, at)))


def next_opening(calendar: Calendar, at: Instant) -> Instant:
    """The first open instant from `at` on, which is `at` itself while open. Raises NeverOpen."""
    for start, end in _from(calendar, at):
        if end > at:
            return max(start, at)
    raise NeverOpen("the calendar does not open")


def next_closing(calendar: Calendar, at: Instant) -> Instant:
    """The first closed instant from `at` on, which is `at` itself while closed. Raises NeverOpen."""
    edge = at
    for start, end in _from(calendar, at):
        if end <= edge:
            continue
        if start > edge:
            return edge
        edge = end
    if edge < at + (LOOK_AHEAD - 3) * DAY:
        return edge
    raise NeverOpen("the calendar does not close")


def open_between(calendar: Calendar, a: Instant, b: Instant) -> Duration:
    """Open time between two instants; 0 when `b` is not after `a`."""
    total = 0
    if b <= a:
        return 0
    for start, end in _from(calendar, a, _day_number(b + _WIDEST)):
        total += max(0, min(end, b) - max(start, a))
    return total


def add_open(calendar: Calendar, start: Instant, amount: Duration) -> Instant:
    """The first instant with `amount` of open time since `start`; `start` itself for 0. Raises NeverOpen."""
    if amount < 0:
        raise ValueError("open time is added, not taken away")
    left = amount
    if not left:
        return start
    for opens, closes in _from(calendar, start):
        begins = max(opens, start)
        if closes - begins >= left:
            return begins + left
        left -= max(0, closes - begins)
    raise NeverOpen("the calendar does not open often enough")


# --- a date as intervals of instants ------------------------------------------------------------------------


def _from(calendar: Calendar, at: Instant, last: int | None = None) -> Iterator[Interval]:
    """Open intervals in order, of the local date before `at`'s and all after, to `last` or LOOK_AHEAD.

    Within a date intervals are sorted; where a clock goes back over midnight two dates may interleave, so a
    date's intervals are merged with the next one's.
    """
    first = _local_day(calendar, at) - 1
    end = first + LOOK_AHEAD if last is None else last + 1
    pending: list[Interval] = []
    for number in range(first, end + 1):
        fresh = _of_day(calendar, number)
        if pending and fresh and fresh[0][0] < pending[-1][1]:
            pending = sorted([*pending, *fresh])
            continue
        yield from pending
        pending = list(fresh)
    yield from pending


def _day_number(at: Instant) -> int:
    return at // DAY


def _local_day(calendar: Calendar, at: Instant) -> int:
    return (at + _offset(calendar.zone, at)) // DAY


@lru_cache(maxsize=20_000)
def _of_day(calendar: Calendar, number: int) -> tuple[Interval, ...]:
    """The open intervals of the local date that is `number` days after 1970-01-01."""
    windows = calendar.windows_of(date.fromordinal(_EPOCH_DAY + number))
    if not windows:
        return ()
    midnight = number * DAY
    found = []
    for since, until, offset in _offsets(calendar.zone, number):
        for first, last in windows:
            start = max(since, midnight + first * MINUTE - offset)
            end = min(until, midnight + last * MINUTE - offset)
            if start < end:
                found.append((start, end))
    return tuple(sorted(found))


@lru_cache(maxsize=20_000)
def _offsets(zone: str, number: int) -> tuple[tuple[Instant, Instant, Duration], ...]:
    """(from, to, offset from UTC) pieces that cover every instant which may be of that local date."""
    start, until = number * DAY - _WIDEST, (number + 1) * DAY + _WIDEST
    pieces, offset = [], _offset(zone, start)
    for at in range(start + _STEP, until + _STEP, _STEP):
        if (changed := _offset(zone, at)) != offset:
            edge = _change(zone, at - _STEP, at)
            pieces.append((start, edge, offset))
            start, offset = edge, changed
    pieces.append((start, until, offset))
    return tuple(pieces)


def _change(zone: str, before: Instant, after: Instant) -> Instant:
    """The first instant in (before, after] at which the offset of `before` no longer holds, to the second."""
    second = 1_000_000
    offset, low, high = _offset(zone, before), before // second, after // second
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle * second) == offset:
            low = middle
        else:
            high = middle
    return high * second


def _offset(zone: str, at: Instant) -> Duration:
    away = to_datetime(at).astimezone(_zone(zone)).utcoffset() or timedelta()
    return away // timedelta(microseconds=1)


@lru_cache(maxsize=1000)
def _zone(name: str) -> ZoneInfo | Any:
    return UTC if name == "UTC" else ZoneInfo(name)


def local(calendar: Calendar, at: Instant) -> datetime:
    """`at` as a clock in the calendar's zone shows it."""
    shown: datetime = to_datetime(at).astimezone(_zone(calendar.zone))
    return shown
