"""When a number may be used: {"monday": [["08:00", "17:00"]]}, on the clock where the contact lives.

The same weekly windows as opening hours have, and the same arithmetic (telephony.contract.hours), so a
change of the clock moves them rightly. An empty object means any time; one that names days means those
windows and no others, so {"monday": []} means never. When two contacts are merged, only what was safe for
both stays safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from telephony.contract import hours
from telephony.contract.clock import from_datetime, to_datetime

SafeHours = Mapping[str, Any]


def check(value: object) -> None:
    """ValueError says what is wrong."""
    if not isinstance(value, Mapping):
        raise ValueError("An object of days, each with a list of windows.")
    _calendar(value, "UTC")


def open_at(value: SafeHours, at: datetime, zone: str) -> bool:
    """Whether the instant `at` is safe; always when no day is named."""
    return not value or hours.is_open(_calendar(value, zone), from_datetime(at))


def next_opening(value: SafeHours, at: datetime, zone: str) -> datetime | None:
    """The first safe instant from `at` on; None when there is none."""
    if not value:
        return at
    calendar = _calendar(value, zone)
    if not any(calendar.weekly):
        return None
    return to_datetime(hours.next_opening(calendar, from_datetime(at)))


def intersect(one: SafeHours, other: SafeHours) -> dict[str, Any]:
    """What is safe by both. Nothing in common is never: {"monday": []}."""
    if not one or not other:
        return dict(one or other)
    first, second = _calendar(one, "UTC").weekly, _calendar(other, "UTC").weekly
    shared = tuple(_both(a, b) for a, b in zip(first, second, strict=True))
    if not any(shared):
        return {"monday": []}
    weekly = hours.calendar_as_json(hours.Calendar("UTC", shared))["weekly"]
    return dict(weekly)


def _both(one: tuple[hours.Window, ...], other: tuple[hours.Window, ...]) -> tuple[hours.Window, ...]:
    found = {(max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other}
    return tuple(sorted(window for window in found if window[0] < window[1]))


def _calendar(value: SafeHours, zone: str) -> hours.Calendar:
    return hours.calendar_from({"zone": zone, "weekly": value})
