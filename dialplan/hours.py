"""A queue's opening hours as steps that Asterisk walks by itself.

GotoIfTime knows no year, and a holiday is one day of one year. So the caller's moment is read once, as one
word in the calendar's zone (date, day of the week, hour and minute: 2026122550930), and the rest is a walk
through extensions of the queue's own context: the date's when the calendar has an exception for it, else the
weekday's. Windows begin and end with a minute, and a clock on the wall is all that a calendar speaks of: what
comes out is what `telephony.contract.hours.is_open` says, on the days when clocks are changed, too.

What cannot be said safely (a zone that this machine does not know or that is not plain text, a date that is
none) leaves the hours out, which means open: somebody who calls a closed office loses a minute, somebody who
is sent away from an open one loses their call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from telephony.contract.hours import DAYS, MINUTES_A_DAY, Calendar, Window, known_zone

OPEN, CLOSED = "open", "murima-announce,s,1"
CLOCK = "MURIMA_CLOCK"
_DATE, _WEEKDAY, _MINUTE = f"${{{CLOCK}:0:8}}", f"${{{CLOCK}:8:1}}", f"${{{CLOCK}:9:4}}"
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9][A-Za-z0-9_+-]{0,31}){0,2}")


def problem(calendar: Calendar) -> str:
    """Why these hours are left out; empty when they can be said."""
    if not plain_zone(calendar.zone):
        return "is in a zone that is not known here"
    if len(calendar.weekly) != len(DAYS) or not all(_is_date(day) for day, _ in calendar.exceptions):
        return "has days that are none"
    every = [*calendar.weekly, *(windows for _, windows in calendar.exceptions)]
    if not all(0 <= start < end <= MINUTES_A_DAY for windows in every for start, end in windows):
        return "has windows that are none"
    return ""


def plain_zone(name: str) -> bool:
    """Whether a zone may stand in a dialplan: plain text, and in the IANA database of this machine."""
    return _ZONE.fullmatch(name) is not None and known_zone(name)


def steps(name: str, calendar: Calendar) -> list[str]:
    """The beginning of a queue's context `name`: it ends at `open` of the same context or at CLOSED."""
    lines = [
        f"exten => s,1,Set({CLOCK}=${{STRFTIME(,{calendar.zone},%Y%m%d%u%H%M)}})",
        f" same => n,GotoIf(${{DIALPLAN_EXISTS({name},{_DATE},1)}}?{_DATE},1)",
        f" same => n,GotoIf(${{DIALPLAN_EXISTS({name},{_WEEKDAY},1)}}?{_WEEKDAY},1)",
        f" same => n,Goto({OPEN},1)",  # no clock at all: open
    ]
    for number, windows in enumerate(calendar.weekly, 1):
        lines += _day(str(number), windows)
    for day, windows in calendar.exceptions:
        lines += _day(day.replace("-", ""), windows)
    return lines


def _day(extension: str, windows: Iterable[Window]) -> list[str]:
    tests = [
        f"GotoIf($[{_MINUTE} >= {_clock(start)} & {_MINUTE} < {_clock(end)}]?{OPEN},1)"
        for start, end in windows
    ]
    first, *rest = [*tests, f"Goto({CLOSED})"]
    return [f"exten => {extension},1,{first}", *(f" same => n,{step}" for step in rest)]


def _clock(minute: int) -> str:
    """0930 for 570; Asterisk compares it as a decimal number."""
    return f"{minute // 60:02d}{minute % 60:02d}"


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
