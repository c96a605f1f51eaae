"""Writing tasks: every change of status goes through here, whoever asks.

A status has followers (choices.FOLLOWS) and may wait for other tasks (dependencies.py). Times that follow
from a status are set with it. What a series made may bring the next one when it is closed (series.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.core import entities, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.viewer import everything
from web.tenant.tasks import dependencies
from web.tenant.tasks.choices import CLOSED, FOLLOWS, TaskStatus
from web.tenant.tasks.models import Task, TaskChecklistItem

FIRST = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED)


def task_create(*, actor: Actor, values: Mapping[str, Any], checklist: Sequence[str] = ()) -> Task:
    """A task, and its checklist's texts in their order. It begins open: nothing is born done."""
    given = dict(values)
    status = given.get("status", TaskStatus.PENDING)
    if status not in FIRST:
        raise _refused("status", "A new task is pending, in progress or blocked.", "illegal_transition")
    if status == TaskStatus.IN_PROGRESS:
        given["started_at"] = timezone.now()
    _follow_reference(given)
    with transaction.atomic():
        task = base.create(Task, actor=actor, values=given)
        for position, text in enumerate(checklist):
            item = {"task": task, "text": text, "position": position}
            base.create(TaskChecklistItem, actor=actor, values=item)
        if task.assigned_to_id is not None:
            _tell_assigned(task, None, actor)
    return task


def task_update(*, actor: Actor, task: Task, values: Mapping[str, Any]) -> Task:
    """Change a task; a new status must be one that may follow and that nothing holds up."""
    given = dict(values)
    with transaction.atomic():
        row = base.lock(Task.objects.all(), pk=task.pk)
        before, had = row.status, row.assigned_to_id
        if given.get("status", before) != before:
            _enter(row, given, actor)
        if "due_date" in given and given["due_date"] != row.due_date:
            given["overdue_told_at"] = None
        if {"entity_type", "entity_id"} & given.keys():
            _follow_reference(given)
        base.update(row, actor=actor, values=given)
        if row.assigned_to_id != had and row.assigned_to_id is not None:
            _tell_assigned(row, had, actor)
        if row.status != before and row.status in CLOSED:
            _closed(row, actor)
    return row


def task_delete(*, actor: Actor, task: Task) -> Task:
    return base.soft_delete(task, actor=actor)


def tasks_assign(*, actor: Actor, tasks: Sequence[Task], user: Any) -> list[Task]:
    """Give all of them to one person (None: to nobody); all or none."""
    with transaction.atomic():
        return [
            task_update(actor=actor, task=task, values={"assigned_to": user})
            for task in sorted(tasks, key=lambda one: one.pk)
        ]


def tasks_complete(*, actor: Actor, tasks: Sequence[Task]) -> list[Task]:
    """Finish all of them, those first for which others of them wait; all or none. Raises BulkRefused."""
    done: list[Task] = []
    with transaction.atomic():
        # In one order, whatever the dependencies say, so that two of these cannot wait for each other.
        locked = Task.objects.select_for_update().filter(pk__in=[task.pk for task in tasks]).order_by("pk")
        waiting = {task.pk: task for task in locked}
        refused: dict[uuid.UUID, ValidationError] = {}
        while waiting:
            before, refused = len(waiting), {}
            for task in list(waiting.values()):
                try:
                    done.append(task_update(actor=actor, task=task, values={"status": TaskStatus.DONE}))
                    del waiting[task.pk]
                except ValidationError as error:  # raised before anything is written
                    refused[task.pk] = error
            if len(waiting) == before:
                break
        if refused:
            raise BulkRefused(refused)
    return done


class BulkRefused(Exception):
    """Why each of some tasks could not be changed, by id."""

    def __init__(self, reasons: dict[uuid.UUID, ValidationError]) -> None:
        super().__init__(f"{len(reasons)} tasks were refused")
        self.reasons = reasons


def _enter(task: Task, given: dict[str, Any], actor: Actor) -> None:
    """Check the step into `given["status"]` and add the times that follow from it."""
    status = str(given["status"])
    if status not in FOLLOWS[task.status]:
        raise _refused(
            "status", f"A task that is {task.status} cannot become {status}.", "illegal_transition"
        )
    dependencies.check_free(task, status)
    now = timezone.now()
    if status in (TaskStatus.IN_PROGRESS, TaskStatus.DONE) and task.started_at is None:
        given["started_at"] = now
    if status == TaskStatus.DONE:
        given |= {"completed_at": now, "completed_by_id": actor.user_id}
    elif task.status == TaskStatus.DONE:
        given |= {"completed_at": None, "completed_by_id": None}


def _closed(task: Task, actor: Actor) -> None:
    from web.tenant.tasks.series import series_follow

    if task.status == TaskStatus.DONE:
        events.emit("task.completed", obj=task, actor=actor, data=task.event_data())
    if task.series_id is not None:
        series_follow(task=task, actor=actor)


def _tell_assigned(task: Task, previous: uuid.UUID | None, actor: Actor) -> None:
    data = {**task.event_data(), "previous": None if previous is None else str(previous)}
    events.emit("task.assigned", obj=task, actor=actor, data=data)


def _follow_reference(given: dict[str, Any]) -> None:
    """A task about an entity is about that entity's person, so that erasing the person reaches it."""
    kind, pk = given.get("entity_type") or "", given.get("entity_id")
    if bool(kind) != bool(pk):
        raise _refused("entity_id", "An entity is a type and an id, both or neither.", "invalid")
    if kind and pk and given.get("contact") is None:
        try:
            row = entities.row(kind, pk, everything())
        except entities.UnknownEntity:
            raise _refused("entity_id", "There is no such entity.", "does_not_exist") from None
        given["contact_id"] = entities.get(kind).contact(row)
        given.pop("contact", None)


def _refused(field: str, text: str, code: str) -> ValidationError:
    return ValidationError({field: [ValidationError(text, code=code)]})
