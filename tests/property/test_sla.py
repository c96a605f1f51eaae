"""The arithmetic of open time against a clock on the wall that is looked at minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.contract import hours
from telephony.contract.clock import from_datetime, to_datetime
from telephony.contract.hours import DAY, MINUTE, Calendar

ZONES = ["UTC", "Africa/Nairobi", "Europe/Berlin", "America/New_York", "America/Havana", "Asia/Kathmandu",
         "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo"]  # fmt: skip
# Around changes of clocks: spring and autumn of several zones, Samoa's missing day, Ramadan in Morocco.
EDGES = ["2026-03-08", "2026-03-29", "2026-10-04", "2026-10-25", "2026-11-01", "2026-02-15", "2026-03-22",
         "2011-12-30", "2018-11-04", "2026-07-01"]  # fmt: skip


def _midnight(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    edges = sorted(draw(st.sets(st.integers(0, 1440), max_size=6)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    weekly = tuple(draw(windows()) for _ in range(7))
    dates = sorted(draw(st.sets(st.sampled_from(EDGES), max_size=3)))
    return Calendar(draw(st.sampled_from(ZONES)), weekly, tuple((day, draw(windows())) for day in dates))


instants = st.builds(
    lambda edge, away: _midnight(edge) + away,
    st.sampled_from(EDGES),
    st.integers(-2 * DAY, 2 * DAY),
)


def wall_says_open(calendar: Calendar, at: int) -> bool:
    shown = to_datetime(at).astimezone(ZoneInfo(calendar.zone))
    minute = shown.hour * 60 + shown.minute
    return any(first <= minute < last for first, last in calendar.windows_of(shown.date()))


@settings(max_examples=150, deadline=None)
@given(calendars(), instants, st.integers(0, 3 * 1440))
def test_open_time_is_what_counting_minutes_gives(calendar, start, minutes):
    start -= start % MINUTE
    counted = sum(wall_says_open(calendar, start + number * MINUTE) for number in range(minutes))
    assert hours.open_between(calendar, start, start + minutes * MINUTE) == counted * MINUTE


@settings(max_examples=150, deadline=None)
@given(calendars(), instants)
def test_is_open_agrees_with_the_wall(calendar, at):
    assert hours.is_open(calendar, at) == wall_says_open(calendar, at)


@settings(max_examples=150, deadline=None)
@given(calendars(), st.tuples(instants, instants, instants).map(sorted))
def test_measuring_adds_up_and_never_shrinks(calendar, three):
    a, b, c = three
    whole = hours.open_between(calendar, a, c)
    assert whole == hours.open_between(calendar, a, b) + hours.open_between(calendar, b, c)
    assert 0 <= hours.open_between(calendar, a, b) <= whole <= c - a


@settings(max_examples=150, deadline=None)
@given(calendars(), instants, st.integers(0, 20 * DAY), st.integers(0, 5 * DAY))
def test_adding_and_measuring_are_inverse_and_adding_is_monotone(calendar, start, amount, more):
    try:
        due = hours.add_open(calendar, start, amount)
    except hours.NeverOpen:
        assert hours.open_between(calendar, start, start + 400 * DAY) < amount
        return
    assert due >= start and hours.open_between(calendar, start, due) == amount
    if amount:
        assert hours.open_between(calendar, start, due - 1) == amount - 1
    try:
        assert hours.add_open(calendar, start, amount + more) >= due
        assert (
            hours.add_open(calendar, due, more) == hours.add_open(calendar, start, amount + more) or not more
        )
        assert hours.add_open(calendar, start + more, amount) >= due
    except hours.NeverOpen:
        pass


@settings(max_examples=150, deadline=None)
@given(calendars(), instants)
def test_the_next_opening_is_open_and_nothing_before_it_is(calendar, at):
    try:
        opening = hours.next_opening(calendar, at)
    except hours.NeverOpen:
        return
    assert hours.is_open(calendar, opening) and hours.open_between(calendar, at, opening) == 0


@settings(max_examples=100, deadline=None)
@given(calendars())
def test_a_calendar_survives_json(calendar):
    assert hours.calendar_from(hours.calendar_as_json(calendar)) == calendar
