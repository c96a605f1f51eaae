"""The fallback turns away whom the floor would turn away: random calendars, and moments around every edge."""

from __future__ import annotations

from datetime import date, timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from dialplan.checker import check
from dialplan.compiler import compile_fallback, name_of
from telephony.contract import hours
from telephony.contract.hours import DAY, MINUTE, Calendar
from telephony.contract.ids import Endpoint
from tests.fakes import dialplan_walk as walk
from tests.unit.test_dialplan_compiler import PHONE, QUEUE, TENANT, agent, policy

# Changes at one, two and three o'clock, at midnight, of half an hour, over midnight, in a split year, never.
ZONES = [
    "Africa/Nairobi", "Africa/Casablanca", "America/Havana", "America/New_York", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "America/Santiago", "UTC",
]  # fmt: skip
CHANGES = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 4), date(2026, 10, 25), date(2026, 11, 1)]
FIRST, DAYS = date(2026, 1, 1), 366
_START = (FIRST - date(1970, 1, 1)).days * DAY


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    edges = sorted(draw(st.sets(st.integers(0, hours.MINUTES_A_DAY), max_size=6)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


_dates = st.one_of(st.sampled_from(CHANGES), st.dates(FIRST, FIRST + timedelta(days=DAYS)))
calendars = st.builds(
    lambda zone, weekly, exceptions: Calendar(
        zone, tuple(weekly), tuple(sorted((day.isoformat(), rows) for day, rows in exceptions.items()))
    ),
    st.sampled_from(ZONES),
    st.lists(windows(), min_size=7, max_size=7),
    st.dictionaries(_dates, windows(), max_size=8),
)


def compiled(calendar: Calendar) -> dict[str, list[str]]:
    """The extensions of the one queue's context, which the checker accepts."""
    result = compile_fallback([policy(calendar=calendar)], [agent(Endpoint(PHONE))])
    assert result.left_out == ()
    assert check(result.extensions, generated=True, known=("murima-announce",)) == []
    return walk.contexts_of(result.extensions)[name_of(TENANT, QUEUE)]


def around(calendar: Calendar, at: int) -> list[int]:
    """The moment, and the last microsecond before and the first of the next opening and closing."""
    found = [at]
    for edge in (hours.next_opening, hours.next_closing):
        try:
            found += [edge(calendar, at) - 1, edge(calendar, at)]
        except hours.NeverOpen:
            continue
    return found


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calendars, st.lists(st.integers(0, DAYS * DAY // MINUTE), min_size=1, max_size=12))
def test_the_fallback_is_open_when_the_floor_is(calendar: Calendar, minutes: list[int]) -> None:
    extensions = compiled(calendar)
    for minute in minutes:
        for at in around(calendar, _START + minute * MINUTE):
            assert walk.is_open(extensions, name_of(TENANT, QUEUE), at) == hours.is_open(calendar, at), at


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calendars, st.sampled_from(CHANGES))
def test_the_days_on_which_clocks_change_are_no_exception(calendar: Calendar, day: date) -> None:
    extensions, noon = compiled(calendar), (day - date(1970, 1, 1)).days * DAY + DAY // 2
    for at in range(noon - DAY, noon + DAY, 10 * MINUTE):
        assert walk.is_open(extensions, name_of(TENANT, QUEUE), at) == hours.is_open(calendar, at), at
