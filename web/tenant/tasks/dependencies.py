"""What a task waits for.

A dependency says which step of the other task frees which step of this one. It is looked at when a task's
status changes: a task that is done has also started, so all four types hold it then. A cancelled or deleted
task holds nobody up.

Two people adding A→B and B→A at once must not both succeed: whoever adds an edge holds one lock per tenant
while the graph is walked, until the commit.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.tenants.context import current_tenant_id
from web.tenant.tasks.choices import DependencyType, TaskStatus
from web.tenant.tasks.models import Task, TaskDependency

MAX_DEPENDENCIES = 50

_START = (DependencyType.FINISH_TO_START, DependencyType.START_TO_START)
_NEEDS_FINISH = (DependencyType.FINISH_TO_START, DependencyType.FINISH_TO_FINISH)


def dependency_add(*, actor: Actor, task: Task, values: dict[str, Any]) -> TaskDependency:
    """Let `task` wait for `values["depends_on"]`. ValidationError for a circle or a doubled dependency."""
    with transaction.atomic():
        _lock_graph()
        base.lock(Task.objects.all(), pk=task.pk)
        other: Task = values["depends_on"]
        if TaskDependency.objects.filter(task=task).count() >= MAX_DEPENDENCIES:
            raise base.refuse(depends_on=f"A task waits for at most {MAX_DEPENDENCIES} others.")
        if TaskDependency.objects.filter(task=task, depends_on=other).exists():
            raise _refused("The task already waits for that one.", "already_depends")
        if other.pk == task.pk or reaches(other.pk, task.pk):
            raise _refused("The tasks would wait for each other for ever.", "circular")
        return base.create(TaskDependency, actor=actor, values={"task": task, **values})


def dependency_remove(*, actor: Actor, dependency: TaskDependency) -> None:
    base.soft_delete(dependency, actor=actor)


def reaches(start: uuid.UUID, goal: uuid.UUID) -> bool:
    """Whether the task `start` waits, directly or through others, for `goal`."""
    table = TaskDependency._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE waits(id) AS (SELECT %s::uuid UNION"  # noqa: S608
            f" SELECT d.depends_on_id FROM {table} d JOIN waits w ON d.task_id = w.id WHERE NOT d.is_deleted)"
            " SELECT EXISTS (SELECT 1 FROM waits WHERE id = %s)",
            [start, goal],
        )
        return bool(cursor.fetchone()[0])


def holding(task: Task, status: str) -> list[uuid.UUID]:
    """The tasks that keep `task` from entering `status` now.

    They are not locked: one that is reopened meanwhile might as well have been reopened a moment later.
    """
    if status not in (TaskStatus.IN_PROGRESS, TaskStatus.DONE):
        return []
    edges = (
        TaskDependency.objects.filter(task=task, depends_on__is_deleted=False)
        .select_related("depends_on")
        .order_by("depends_on_id")
    )
    return [edge.depends_on_id for edge in edges if _holds(edge, status)]


def _holds(edge: TaskDependency, status: str) -> bool:
    if status == TaskStatus.IN_PROGRESS and edge.dependency_type not in _START:
        return False
    other = edge.depends_on
    if other.status == TaskStatus.CANCELLED:
        return False
    if edge.dependency_type in _NEEDS_FINISH:
        return bool(other.status != TaskStatus.DONE)
    return other.started_at is None


def check_free(task: Task, status: str) -> None:
    """Raises ValidationError naming how many tasks hold this one back."""
    held_by = holding(task, status)
    if held_by:
        many = "another task" if len(held_by) == 1 else f"{len(held_by)} other tasks"
        raise ValidationError(
            {"status": [ValidationError(f"The task waits for {many}.", code="waits_for_others")]}
        )


def _refused(text: str, code: str) -> ValidationError:
    return ValidationError({"depends_on": [ValidationError(text, code=code)]})


def _lock_graph() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{current_tenant_id()}:tasks.graph"]
        )
