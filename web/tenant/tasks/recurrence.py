"""When something comes again: a bounded part of RFC 5545's RRULE, in a time zone.

A rule is expanded on naive wall-clock times and only its results are placed on the time line, so a task due
at nine stays at nine across a change of the clocks. A wall time that does not exist (the hour skipped in
spring) is moved forward by the gap; of one that exists twice the first is meant.

The parts allowed are those for which dateutil finds the next date soon: it would walk to the year 9999 in
search of the 30th of February. Pure: no database, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

ALLOWED: dict[str, set[str]] = {
    "DAILY": {"INTERVAL", "BYDAY"},
    "WEEKLY": {"INTERVAL", "BYDAY", "WKST"},
    "MONTHLY": {"INTERVAL", "BYDAY", "BYMONTHDAY", "BYSETPOS"},
    "YEARLY": {"INTERVAL", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS"},
}
LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
MAX_INTERVAL, MAX_COUNT = 400, 10_000
_PLAIN_DAY = r"(?:MO|TU|WE|TH|FR|SA|SU)"
_DAY = rf"(?:[+]?[1-5]|-[1-5])?{_PLAIN_DAY}"
_FORMS = {
    "INTERVAL": r"[1-9]\d{0,2}",
    "COUNT": r"[1-9]\d{0,4}",
    "UNTIL": r"\d{8}(?:T\d{6}Z)?",
    "BYDAY": rf"{_DAY}(?:,{_DAY}){{0,13}}",
    "BYMONTHDAY": r"-?[1-9]\d?(?:,-?[1-9]\d?){0,30}",
    "BYMONTH": r"[1-9]\d?(?:,[1-9]\d?){0,11}",
    "BYSETPOS": r"-?[1-4](?:,-?[1-4]){0,7}",
    "WKST": _PLAIN_DAY,
}


class BadRule(ValueError):
    """The rule is not one of ours; the text says why."""


def normal(text: str) -> str:
    """The rule in its usual spelling. Raises BadRule."""
    parts = _parts(text)
    frequency = parts.pop("FREQ", "")
    if frequency not in ALLOWED:
        raise BadRule("FREQ is one of DAILY, WEEKLY, MONTHLY, YEARLY.")
    for name, value in parts.items():
        if name not in ALLOWED[frequency] | {"COUNT", "UNTIL"}:
            raise BadRule(f"{name} is not allowed with FREQ={frequency}.")
        if not re.fullmatch(_FORMS[name], value):
            raise BadRule(f"{name} cannot be read.")
    _check_together(frequency, parts)
    return ";".join([f"FREQ={frequency}", *(f"{name}={value}" for name, value in sorted(parts.items()))])


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or name in parts:
            raise BadRule("A rule reads NAME=VALUE;NAME=VALUE, each name once.")
        parts[name] = value
    return parts


def _check_together(frequency: str, parts: dict[str, str]) -> None:
    """What would never happen, or is found only after a long search, is refused."""
    interval = int(parts.get("INTERVAL", 1))
    if interval > MAX_INTERVAL:
        raise BadRule(f"INTERVAL is at most {MAX_INTERVAL}.")
    if frequency == "MONTHLY" and interval % 12 == 0:
        raise BadRule("Every twelve months is FREQ=YEARLY.")
    if int(parts.get("COUNT", 1)) > MAX_COUNT:
        raise BadRule(f"COUNT is at most {MAX_COUNT}.")
    if "COUNT" in parts and "UNTIL" in parts:
        raise BadRule("COUNT and UNTIL exclude each other.")
    if frequency == "DAILY" and "BYDAY" in parts and interval > 1:
        raise BadRule("FREQ=DAILY takes BYDAY or INTERVAL; use FREQ=WEEKLY.")
    if frequency in ("DAILY", "WEEKLY") and re.search(r"\d", parts.get("BYDAY", "")):
        raise BadRule("Only FREQ=MONTHLY and FREQ=YEARLY take numbered days.")
    if "BYDAY" in parts and "BYMONTHDAY" in parts:
        raise BadRule("BYDAY and BYMONTHDAY exclude each other.")
    if "BYSETPOS" in parts and "BYDAY" not in parts:
        raise BadRule("BYSETPOS needs BYDAY.")
    if "BYSETPOS" in parts and re.search(r"\d", parts["BYDAY"]):
        raise BadRule("BYSETPOS takes days without numbers.")
    if frequency == "YEARLY" and ("BYDAY" in parts or "BYMONTHDAY" in parts) and "BYMONTH" not in parts:
        raise BadRule("FREQ=YEARLY with days needs BYMONTH.")
    months = [int(month) for month in parts.get("BYMONTH", "1").split(",")]
    if any(not 1 <= month <= 12 for month in months):
        raise BadRule("BYMONTH is 1 to 12.")
    longest = max(LONGEST_MONTH.get(month, 31) for month in months)
    days = [abs(int(day)) for day in parts.get("BYMONTHDAY", "1").split(",")]
    if any(day > longest for day in days):
        raise BadRule("BYMONTHDAY names a day that its months do not have.")
    if longest == 29 and min(days) == 29 and interval > 1:
        raise BadRule("The 29th of February takes no INTERVAL.")


def occurrence_after(
    rule: str, starts_at: datetime, zone: ZoneInfo, after: datetime | None
) -> datetime | None:
    """The first occurrence later than `after` (or the first of all), in UTC; None when there is none."""
    expanded, start = _expanded(rule, starts_at, zone)
    if after is None:
        found = expanded.after(start, inc=True)
    else:
        found = expanded.after(_wall(after, zone))
    return None if found is None else _placed(found, zone)


def newest_until(rule: str, starts_at: datetime, zone: ZoneInfo, until: datetime) -> datetime | None:
    """The last occurrence that is not later than `until`, in UTC; None when there is none."""
    expanded, _ = _expanded(rule, starts_at, zone)
    found = expanded.before(_wall(until, zone), inc=True)
    while found is not None and _placed(found, zone) > until:
        found = expanded.before(found)  # a skipped hour moved it forward, past the end
    return None if found is None else _placed(found, zone)


def first(rule: str, starts_at: datetime, zone: ZoneInfo, count: int) -> Iterable[datetime]:
    """The first `count` occurrences, in UTC: what a form shows before somebody saves it."""
    expanded, _ = _expanded(rule, starts_at, zone)
    return [_placed(found, zone) for found, _ in zip(expanded, range(count), strict=False)]


def _expanded(rule: str, starts_at: datetime, zone: ZoneInfo) -> tuple[rrule, datetime]:
    start = _wall(starts_at, zone)
    until = re.search(r"UNTIL=(\d{8})(T\d{6}Z)?", rule)
    if until is not None:
        rule = rule.replace(until[0], f"UNTIL={_local_until(until[1], until[2], zone)}")
    made = rrulestr(rule, dtstart=start)
    assert isinstance(made, rrule)
    return made, start


def _local_until(day: str, instant: str | None, zone: ZoneInfo) -> str:
    """A date means that whole day; an instant in UTC becomes the zone's wall time."""
    if instant is None:
        return f"{day}T235959"
    moment = datetime.strptime(day + instant, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return f"{_wall(moment, zone):%Y%m%dT%H%M%S}"


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _placed(wall: datetime, zone: ZoneInfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)
