"""Opening hours: what people write, and the days on which clocks are changed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from telephony.contract import hours
from telephony.contract.clock import from_datetime
from telephony.contract.hours import ALWAYS, MINUTE, Calendar, NeverOpen, calendar_from

HOUR = 60 * MINUTE
OFFICE = {"monday": [["08:00", "12:00"], ["13:00", "17:00"]], "tuesday": [["09:00", "24:00"]]}


def at(zone: str, text: str, fold: int = 0) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


def always(zone: str, **exceptions: list[list[str]]) -> Calendar:
    weekly = {day: [["00:00", "24:00"]] for day in hours.DAYS}
    dates = {name.removeprefix("d").replace("_", "-"): rows for name, rows in exceptions.items()}
    return calendar_from({"zone": zone, "weekly": weekly, "exceptions": dates})


def test_open_is_what_a_clock_on_the_wall_says():
    calendar = calendar_from({"zone": "Africa/Nairobi", "weekly": OFFICE})
    said = {
        "2026-11-23T07:59:59.999999": False,
        "2026-11-23T08:00": True,
        "2026-11-23T12:00": False,
        "2026-11-23T16:59:59.999999": True,
        "2026-11-24T23:59": True,
        "2026-11-25T00:00": False,
    }
    assert {text: hours.is_open(calendar, at("Africa/Nairobi", text)) for text in said} == said


def test_open_time_skips_nights_and_weekends():
    calendar = calendar_from({"zone": "Africa/Nairobi", "weekly": OFFICE})
    start = at("Africa/Nairobi", "2026-11-23T16:30")
    assert hours.add_open(calendar, start, HOUR) == at("Africa/Nairobi", "2026-11-24T09:30")
    assert hours.add_open(calendar, start, 16 * HOUR) == at("Africa/Nairobi", "2026-11-30T08:30")
    assert hours.open_between(calendar, start, at("Africa/Nairobi", "2026-11-30T08:30")) == 16 * HOUR
    assert hours.next_opening(calendar, start + HOUR) == at("Africa/Nairobi", "2026-11-24T09:00")
    assert hours.next_closing(calendar, start) == at("Africa/Nairobi", "2026-11-23T17:00")
    assert hours.next_closing(calendar, start + HOUR) == start + HOUR


def test_an_exception_takes_the_place_of_the_days_windows():
    weekly = {"exceptions": {"2026-12-25": [], "2026-11-24": [["10:00", "11:00"]]}}
    calendar = calendar_from({"zone": "Africa/Nairobi", "weekly": OFFICE, **weekly})
    start = at("Africa/Nairobi", "2026-11-24T00:00")
    assert hours.open_between(calendar, start, start + hours.DAY) == HOUR
    assert hours.calendar_from(hours.calendar_as_json(calendar)) == calendar


def test_a_skipped_hour_is_not_open_and_one_that_comes_twice_is_open_twice():
    berlin = calendar_from({"zone": "Europe/Berlin", "weekly": {"sunday": [["01:15", "02:45"]]}})
    spring, autumn = at("Europe/Berlin", "2026-03-29T00:00"), at("Europe/Berlin", "2026-10-25T00:00")
    assert hours.open_between(berlin, spring, spring + hours.DAY) == 45 * MINUTE
    assert hours.open_between(berlin, autumn, autumn + hours.DAY) == 135 * MINUTE
    assert hours.is_open(berlin, at("Europe/Berlin", "2026-10-25T02:30", fold=0))
    assert hours.is_open(berlin, at("Europe/Berlin", "2026-10-25T02:30", fold=1))
    assert not hours.is_open(berlin, at("Europe/Berlin", "2026-10-25T02:50", fold=0))


def test_a_half_hour_change_and_a_day_that_never_was():
    howe = always("Australia/Lord_Howe", d2026_10_04=[["00:00", "24:00"]], d2026_10_05=[])
    start = at("Australia/Lord_Howe", "2026-10-04T00:00")
    assert hours.next_closing(howe, start) - start == 23 * HOUR + 30 * MINUTE
    samoa = always("Pacific/Apia", d2011_12_30=[], d2011_12_31=[["00:00", "01:00"]])
    before = at("Pacific/Apia", "2011-12-29T23:00")
    assert hours.open_between(samoa, before, before + 3 * HOUR) == 2 * HOUR


def test_a_clock_that_goes_back_over_midnight_keeps_the_order():
    # In 2016 Azores-like zones changed at 00:00 or 01:00; in Cuba the hour before one o'clock comes twice.
    cuba = calendar_from({"zone": "America/Havana", "weekly": {"sunday": [["00:00", "01:00"]]}})
    start = at("America/Havana", "2026-11-01T00:00")
    assert hours.open_between(cuba, start, start + 3 * HOUR) == 2 * HOUR
    assert hours.add_open(cuba, start, 90 * MINUTE) == start + 90 * MINUTE


def test_what_never_opens_or_never_closes_is_said_in_finite_time():
    closed = calendar_from({"zone": "UTC", "weekly": {}})
    for ask in (lambda: hours.next_opening(closed, 0), lambda: hours.add_open(closed, 0, 1)):
        with pytest.raises(NeverOpen):
            ask()
    with pytest.raises(NeverOpen):
        hours.next_closing(ALWAYS, 0)
    assert hours.add_open(closed, 7, 0) == 7 and hours.open_between(closed, 0, 10**15) == 0
    with pytest.raises(ValueError, match="not taken away"):
        hours.add_open(ALWAYS, 0, -1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"zone": "../etc/passwd"}, "zone"),
        ({"zone": 3}, "zone"),
        ({"weekly": {"mon": []}}, "weekly"),
        ({"weekly": []}, "weekly"),
        ({"weekly": {"monday": [["8:00", "17:00"]]}}, "HH:MM"),
        ({"weekly": {"monday": [["17:00", "08:00"]]}}, "midnight"),
        ({"weekly": {"monday": [["08:00", "24:01"]]}}, "between"),
        ({"weekly": {"monday": [["08:00", "12:00"], ["11:59", "13:00"]]}}, "overlap"),
        ({"weekly": {"monday": [["08:00"]]}}, "pair"),
        ({"weekly": {"monday": "08:00-17:00"}}, "list"),
        ({"weekly": {"monday": [["\u0660\u0668:00", "17:00"]]}}, "HH:MM"),
        ({"exceptions": {"2026-02-30": []}}, "YYYY-MM-DD"),
        ({"exceptions": {"20261225": []}}, "YYYY-MM-DD"),
        ({"exceptions": []}, "exceptions"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(change, said):
    with pytest.raises(ValueError, match=said):
        calendar_from({"zone": "UTC", "weekly": {}, **change})
