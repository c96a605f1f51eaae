"""What time brings: due dates that passed, reminders, tasks of series. Called by beat, safe to run twice.

Rows are taken with SKIP LOCKED and marked in the transaction that tells, so each is told once. Nothing is
kept in a queue: what was missed while nobody ran is found by the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core import events
from web.shared.core.actor import Actor, system
from web.tenant.tasks.choices import OPEN
from web.tenant.tasks.models import Task, TaskReminder, TaskSeries
from web.tenant.tasks.series import series_due

BATCH = 200


def everything_due() -> dict[str, int]:
    """Tell and make all that is due in the tenant chosen now; returns how many of each."""
    actor = system("tasks")
    return {
        "overdue": _all(overdue_tell, actor),
        "reminders": _all(reminders_tell, actor),
        "made": series_due(actor=actor),
    }


def due_rows() -> list[QuerySet[Any]]:
    """What `everything_due` would find now."""
    now = timezone.now()
    return [_overdue(now), _reminders(now), TaskSeries.objects.filter(is_active=True, next_at__lte=now)]


def _overdue(now: datetime) -> QuerySet[Task]:
    return Task.objects.filter(status__in=OPEN, overdue_told_at=None, due_date__lt=now)


def _reminders(now: datetime) -> QuerySet[TaskReminder]:
    return TaskReminder.objects.filter(
        told_at=None, remind_at__lte=now, task__status__in=OPEN, task__is_deleted=False
    )


def _all(step: Callable[..., int], actor: Actor) -> int:
    """Batches until one is not full; at most fifty, the next run does the rest."""
    told = 0
    for _ in range(50):
        count = step(actor=actor)
        told += count
        if count < BATCH:
            break
    return told


def overdue_tell(*, actor: Actor) -> int:
    """Say `task.overdue` of open tasks whose due date passed and was not said yet."""
    now = timezone.now()
    with transaction.atomic():
        rows = list(_overdue(now).select_for_update(skip_locked=True).order_by("due_date")[:BATCH])
        # By hand: it is no change that somebody could lose, so there is no new revision.
        Task.objects.filter(pk__in=[task.pk for task in rows]).update(overdue_told_at=now)
        for task in rows:
            due = task.due_date.isoformat() if task.due_date else ""
            events.emit("task.overdue", obj=task, actor=actor, data={**task.event_data(), "due_date": due})
    return len(rows)


def reminders_tell(*, actor: Actor) -> int:
    """Say `task.reminder` of reminders that came due, of tasks that are still open."""
    now = timezone.now()
    with transaction.atomic():
        rows = list(
            _reminders(now)
            .select_related("task")
            .select_for_update(skip_locked=True, of=("self",))
            .order_by("remind_at")[:BATCH]
        )
        TaskReminder.objects.filter(pk__in=[row.pk for row in rows]).update(told_at=now)
        for row in rows:
            recipient = row.user_id or row.task.assigned_to_id
            data = {
                **row.task.event_data(),
                "reminder": str(row.pk),
                "recipient": None if recipient is None else str(recipient),
            }
            events.emit("task.reminder", obj=row.task, actor=actor, data=data)
    return len(rows)
