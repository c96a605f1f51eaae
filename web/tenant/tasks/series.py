"""Making the tasks of a series: one ahead, never two of one occurrence.

The next task is made when the newest one is closed, or `lead_hours` before it is due, whichever comes first.
The series' row is locked while that is decided, and (series, occurrence) is unique, so a worker, beat and
somebody who closes a task can meet here. After a long stop only the newest missed one is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.tasks import recurrence
from web.tenant.tasks.models import Task, TaskSeries

HORIZON = timedelta(days=366 * 5)
RULE = {"recurrence", "starts_at", "time_zone"}
COPIED = ("title", "description", "priority", "assigned_to", "case", "contact", "estimated_hours")


def series_create(*, actor: Actor, values: Mapping[str, Any]) -> TaskSeries:
    """A series and the task of its first occurrence."""
    given = checked(dict(values), None)
    with transaction.atomic():
        series = base.create(TaskSeries, actor=actor, values=given)
        _continue(series, actor)
    return series


def series_update(*, actor: Actor, series: TaskSeries, values: Mapping[str, Any]) -> TaskSeries:
    """Change what future tasks look like, and when; those that exist stay as they are."""
    with transaction.atomic():
        row = base.lock(TaskSeries.objects.all(), pk=series.pk)
        given = checked(dict(values), row)
        base.update(row, actor=actor, values=given)
        if (RULE | {"lead_hours", "is_active"}) & given.keys():
            _schedule(row)
    return row


def series_delete(*, actor: Actor, series: TaskSeries) -> TaskSeries:
    """No further tasks; those that exist stay."""
    return base.soft_delete(series, actor=actor)


def series_follow(*, task: Task, actor: Actor) -> Task | None:
    """The task after `task`, which was just closed, when it is the newest of a series that goes on."""
    rows = TaskSeries.objects.select_for_update().filter(tasks=task, is_active=True)
    series = rows.first()
    if series is None or series.last_occurrence != task.occurrence:
        return None
    return _continue(series, actor)


def series_due(*, actor: Actor, limit: int = 200) -> int:
    """Make what is due now; returns how many tasks were made. Each series in a transaction of its own."""
    made = 0
    for _ in range(limit):
        with transaction.atomic():
            series = (
                TaskSeries.objects.filter(is_active=True, next_at__lte=timezone.now())
                .select_for_update(skip_locked=True)
                .order_by("next_at")
                .first()
            )
            if series is None:
                break
            made += _continue(series, actor) is not None
    return made


def _continue(series: TaskSeries, actor: Actor) -> Task | None:
    """Make the next task of a locked series, and note when the one after it is due; None at its end."""
    from web.tenant.tasks.services import task_create

    occurrence = None if _case_gone(series) else _next(series)
    if occurrence is None:
        _note(series, next_at=None)
        return None
    values = {name: getattr(series, name) for name in COPIED}
    values |= {"series": series, "occurrence": occurrence, "due_date": occurrence}
    task = task_create(actor=actor, values=values, checklist=series.checklist)
    series.last_occurrence = occurrence
    _schedule(series)
    return task


def _case_gone(series: TaskSeries) -> bool:
    return series.case is not None and bool(series.case.is_deleted)


def _next(series: TaskSeries) -> datetime | None:
    """The occurrence after the last one made; of several that passed already the newest."""
    zone = ZoneInfo(series.time_zone)
    following = recurrence.occurrence_after(series.recurrence, series.starts_at, zone, series.last_occurrence)
    now = timezone.now()
    if following is not None and following <= now:
        newest = recurrence.newest_until(series.recurrence, series.starts_at, zone, now)
        following = max(following, newest or following)
    return following


def _schedule(series: TaskSeries) -> None:
    following = recurrence.occurrence_after(
        series.recurrence, series.starts_at, ZoneInfo(series.time_zone), series.last_occurrence
    )
    _note(series, next_at=None if following is None else following - timedelta(hours=series.lead_hours))


def _note(series: TaskSeries, *, next_at: datetime | None) -> None:
    """Bookkeeping of ours: no new revision, nobody's change is lost by it."""
    series.next_at = next_at
    TaskSeries.objects.filter(pk=series.pk).update(next_at=next_at, last_occurrence=series.last_occurrence)


def checked(given: dict[str, Any], row: TaskSeries | None = None) -> dict[str, Any]:
    """`given` with its rule in the usual spelling; ValidationError when it cannot be, or never happens."""
    if "recurrence" in given:
        try:
            given["recurrence"] = recurrence.normal(given["recurrence"])
        except recurrence.BadRule as wrong:
            raise _refused("recurrence", str(wrong)) from None
    if "starts_at" in given:
        given["starts_at"] = given["starts_at"].replace(microsecond=0)
        if abs(given["starts_at"] - timezone.now()) > HORIZON:
            raise _refused("starts_at", "Within five years of now.")
    if RULE & given.keys():
        _check_happens({name: given.get(name, getattr(row, name, None)) for name in RULE})
    return given


def _check_happens(rule: dict[str, Any]) -> None:
    try:
        zone = ZoneInfo(rule["time_zone"])
    except (KeyError, ValueError, OSError):
        raise _refused("time_zone", "Not a time zone of the IANA database.") from None
    if recurrence.occurrence_after(rule["recurrence"], rule["starts_at"], zone, None) is None:
        raise _refused("recurrence", "This never happens.")


def _refused(field: str, text: str) -> ValidationError:
    return ValidationError({field: [ValidationError(text, code="invalid")]})
