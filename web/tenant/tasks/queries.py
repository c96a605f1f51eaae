"""Reading tasks: who sees which, and what of them others ask about."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from web.shared.core import entities
from web.shared.core.timeline import Entry
from web.shared.core.viewer import Viewer
from web.tenant.cases import queries as cases
from web.tenant.tasks.choices import OPEN
from web.tenant.tasks.models import Task
from web.tenant.tasks.permissions import TASKS_VIEW

OWNERS = ("assigned_to", "created_by")


def visible(queryset: QuerySet[Task], viewer: Viewer, code: str = TASKS_VIEW) -> QuerySet[Task]:
    """The tasks that `code` lets this viewer reach: their own are those they have or made.

    A task of a case is seen by those who see the case, besides its owners: what is said in it is said of
    the case, which may be a restricted one.
    """
    rows = viewer.narrow(queryset, code, *OWNERS)
    if viewer.scope(code) is None:
        return rows
    free = Q(case_id=None) | entities.may_be_seen("case", "case_id", viewer)
    if viewer.user_id is not None:
        free |= Q(assigned_to_id=viewer.user_id) | Q(created_by_id=viewer.user_id)
    return rows.filter(free)


def facts(task: Task) -> dict[str, Any]:
    """What conditions may ask about a task."""
    return {
        "status": task.status,
        "priority": task.priority,
        "assigned_to": None if task.assigned_to_id is None else str(task.assigned_to_id),
        "has_due_date": task.due_date is not None,
        "is_overdue": is_overdue(task),
        "is_recurring": task.series_id is not None,
        "entity_type": task.entity_type,
    }


def contact_of(task: Task) -> uuid.UUID | None:
    """The person whom a task is about: its own contact, else its case's."""
    if task.contact_id is not None or task.case_id is None:
        return task.contact_id
    return cases.contact_of(task.case_id)


def is_overdue(task: Task) -> bool:
    return task.is_open and task.due_date is not None and task.due_date < timezone.now()


def overdue(queryset: QuerySet[Task], text: str) -> QuerySet[Task]:
    """Filter `is_overdue=true|false`."""
    if text not in ("true", "false"):
        raise ValueError("true or false")
    late = Q(status__in=OPEN, due_date__lt=timezone.now())
    return queryset.filter(late) if text == "true" else queryset.exclude(late)


def is_open(queryset: QuerySet[Task], text: str) -> QuerySet[Task]:
    """Filter `is_open=true|false`."""
    if text not in ("true", "false"):
        raise ValueError("true or false")
    condition = Q(status__in=OPEN)
    return queryset.filter(condition if text == "true" else ~condition)


def search(queryset: QuerySet[Task], text: str) -> QuerySet[Task]:
    """Tasks whose title or description holds every word of `text`."""
    for word in text.split()[:5]:
        queryset = queryset.filter(Q(title__icontains=word) | Q(description__icontains=word))
    return queryset


def of_contact(pk: uuid.UUID) -> Q:
    """Which tasks speak of a contact."""
    return Q(contact_id=pk) | Q(entity_type="contact", entity_id=pk)


def of_case(pk: uuid.UUID) -> Q:
    """Which tasks belong to a case, or to one that was merged into it."""
    ids = {pk, *cases.merged_into(pk)}
    return Q(case_id__in=ids) | Q(entity_type="case", entity_id__in=ids)


def of_case_named(queryset: QuerySet[Task], text: str) -> QuerySet[Task]:
    """Filter `case=<id>`, or `case=null`."""
    return queryset.filter(Q(case_id=None) if text == "null" else of_case(uuid.UUID(text)))


def timeline_of(condition: Any) -> Any:
    """A timeline's provider: when each matching task was made and done, newest first."""

    def entries(pk: uuid.UUID, viewer: Viewer, before: tuple[Any, str] | None, limit: int) -> list[Entry]:
        rows = visible(Task.objects.filter(condition(pk)), viewer)
        made = _entries(rows, "created_at", "task.created", "created_by_id", before, limit)
        done = rows.filter(completed_at__isnull=False)
        return made + _entries(done, "completed_at", "task.completed", "completed_by_id", before, limit)

    return entries


def _entries(
    rows: QuerySet[Task], at: str, kind: str, by: str, before: tuple[Any, str] | None, limit: int
) -> list[Entry]:
    if before is not None:
        rows = rows.filter(Q(**{f"{at}__lt": before[0]}) | Q(**{at: before[0], "pk__lt": before[1]}))
    return [
        Entry(
            at=getattr(task, at),
            kind=kind,
            id=task.pk,
            actor_id=getattr(task, by),
            data={"title": task.title, "status": task.status, "priority": task.priority},
        )
        for task in rows.order_by(f"-{at}", "-pk")[:limit]
    ]
