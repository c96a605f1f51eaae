"""Writing what lies inside a task: comments, reminders, the checklist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from web.shared.core import events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.tasks.models import Task, TaskChecklistItem, TaskComment, TaskReminder
from web.tenant.tasks.models.series import MAX_ITEMS

MAX_REMINDERS = 20


def comment_add(*, actor: Actor, task: Task, values: Mapping[str, Any]) -> TaskComment:
    """A comment; the people it mentions are named in the event, so that they can be told."""
    with transaction.atomic():
        comment = base.create(TaskComment, actor=actor, values={"task": task, **values})
        data = {
            **task.event_data(),
            "comment": str(comment.pk),
            "is_internal": comment.is_internal,
            "mentions": comment.mentions,
        }
        events.emit("task.commented", obj=task, actor=actor, data=data)
    return comment


def comment_update(*, actor: Actor, comment: TaskComment, values: Mapping[str, Any]) -> TaskComment:
    return base.update(comment, actor=actor, values=values)


def reminder_add(*, actor: Actor, task: Task, values: Mapping[str, Any]) -> TaskReminder:
    """A reminder in the future; one in the past would only say that it is late."""
    with transaction.atomic():
        base.lock(Task.objects.all(), pk=task.pk)
        if TaskReminder.objects.filter(task=task, told_at=None).count() >= MAX_REMINDERS:
            raise base.refuse(remind_at=f"A task has at most {MAX_REMINDERS} reminders to come.")
        _check_future(values)
        return base.create(TaskReminder, actor=actor, values={"task": task, **values})


def reminder_update(*, actor: Actor, reminder: TaskReminder, values: Mapping[str, Any]) -> TaskReminder:
    """A new time makes it come again."""
    given = dict(values)
    if "remind_at" in given and given["remind_at"] != reminder.remind_at:
        _check_future(given)
        given["told_at"] = None
    return base.update(reminder, actor=actor, values=given)


def item_add(*, actor: Actor, task: Task, values: Mapping[str, Any]) -> TaskChecklistItem:
    """One more line; without a position it is the last."""
    with transaction.atomic():
        base.lock(Task.objects.all(), pk=task.pk)
        items = TaskChecklistItem.objects.filter(task=task)
        if items.count() >= MAX_ITEMS:
            raise base.refuse(text=f"A checklist has at most {MAX_ITEMS} lines.")
        last = items.order_by("-position").values_list("position", flat=True).first()
        given = {"task": task, "position": 0 if last is None else min(last + 1, 32_767), **values}
        return base.create(TaskChecklistItem, actor=actor, values=_done(given, actor))


def item_update(*, actor: Actor, item: TaskChecklistItem, values: Mapping[str, Any]) -> TaskChecklistItem:
    given = dict(values)
    if given.get("is_done", item.is_done) != item.is_done:
        given = _done(given, actor)
    return base.update(item, actor=actor, values=given)


def part_delete(*, actor: Actor, part: Any) -> None:
    base.soft_delete(part, actor=actor)


def _done(given: dict[str, Any], actor: Actor) -> dict[str, Any]:
    done = bool(given.get("is_done"))
    return given | {
        "done_at": timezone.now() if done else None,
        "done_by_id": actor.user_id if done else None,
    }


def _check_future(values: Mapping[str, Any]) -> None:
    if values["remind_at"] <= timezone.now():
        raise base.refuse(remind_at="A reminder lies in the future.")
