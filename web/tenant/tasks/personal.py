"""What tasks keep about a contact: erased, exported and moved with the contact (core.erasure).

Titles, descriptions, comments and checklists are free text, so all of it goes for a task that speaks of the
person; status, times and hours stay. Deleted rows are reached as well.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import F, Q

from web.shared.core import audit
from web.shared.core.actor import Actor
from web.tenant.tasks.models import Task, TaskChecklistItem, TaskComment, TaskSeries
from web.tenant.tasks.queries import of_contact

GONE = "Erased"


def erase(contact: uuid.UUID, actor: Actor) -> int:
    """Empty every text about this contact; returns how many rows were emptied."""
    tasks = ids_about(contact)
    next_revision = F("revision") + 1
    count = Task.all_objects.filter(pk__in=tasks).update(title=GONE, description="", revision=next_revision)
    count += TaskComment.all_objects.filter(task__in=tasks).update(content=GONE, revision=next_revision)
    count += TaskChecklistItem.all_objects.filter(task__in=tasks).update(text=GONE, revision=next_revision)
    count += _series(contact, in_cases=True).update(
        title=GONE, description="", checklist=[], is_active=False, revision=next_revision
    )
    for pk in tasks:
        audit.record(actor=actor, action="erase", object_type="tasks.task", object_id=str(pk))
    return int(count)


def ids_about(contact: uuid.UUID) -> list[uuid.UUID]:
    """Ids of the tasks whose texts may name this contact, deleted ones included."""
    return _ids(Task, of_contact(contact) | _in_cases(contact))


def export(contact: uuid.UUID) -> list[dict[str, Any]]:
    """Tasks about this contact, with their comments and checklists, as plain values."""
    rows = Task.objects.filter(of_contact(contact)).prefetch_related("comments", "checklist")
    return [
        {
            "id": str(task.pk),
            "title": task.title,
            "description": task.description,
            "status": task.status,
            "created_at": task.created_at.isoformat(),
            "completed_at": None if task.completed_at is None else task.completed_at.isoformat(),
            "comments": [
                {"at": comment.created_at.isoformat(), "content": comment.content}
                for comment in task.comments.all()
                if not comment.is_deleted
            ],
            "checklist": [item.text for item in task.checklist.all() if not item.is_deleted],
        }
        for task in rows
    ]


def move(source: uuid.UUID, target: uuid.UUID) -> dict[str, list[str]]:
    """Give the tasks of one contact to another; returns what `put_back` needs."""
    moved = {
        "from": [str(source)],
        "tasks": [str(pk) for pk in Task.all_objects.filter(contact_id=source).values_list("pk", flat=True)],
        "series": [str(pk) for pk in _series(source).values_list("pk", flat=True)],
        "entities": [
            str(pk)
            for pk in Task.all_objects.filter(entity_type="contact", entity_id=source).values_list(
                "pk", flat=True
            )
        ],
    }
    _point(moved, target)
    return moved


def put_back(moved: dict[str, list[str]]) -> None:
    _point(moved, uuid.UUID(moved["from"][0]))


def _in_cases(contact: uuid.UUID) -> Q:
    """Of a case with this person in it, or merged into one: its texts may name everybody in the case."""
    found = Q()
    for case in ("case", "case__merged_into", "case__merged_into__merged_into"):
        found |= Q(**{f"{case}__parties__contact": contact})
    return found


def _ids(model: Any, condition: Q) -> list[Any]:
    return list(model.all_objects.filter(condition).values_list("pk", flat=True).distinct())


def _point(moved: dict[str, list[str]], contact: uuid.UUID) -> None:
    next_revision = F("revision") + 1
    Task.all_objects.filter(pk__in=moved["tasks"]).update(contact_id=contact, revision=next_revision)
    TaskSeries.all_objects.filter(pk__in=moved["series"]).update(contact_id=contact, revision=next_revision)
    Task.all_objects.filter(pk__in=moved["entities"]).update(entity_id=contact, revision=next_revision)


def _series(contact: uuid.UUID, *, in_cases: bool = False) -> Any:
    named = Q(contact_id=contact)
    if in_cases:
        named = Q(pk__in=_ids(TaskSeries, named | _in_cases(contact)))
    return TaskSeries.all_objects.filter(named)
