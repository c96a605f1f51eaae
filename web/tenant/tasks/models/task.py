"""What somebody has to do, and what has to happen before.

A task may hang on a case, speak of a contact, and point at any entity by name and id. `started_at` and
`completed_at` follow from the status and are never typed. `overdue_told_at` is when the passing of the due
date was said, so that it is said once; a new due date forgets it. A task that a series made knows which
occurrence it is, and the database allows one task for each.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from web.shared.core.models import BaseModel
from web.tenant.tasks.choices import OPEN, DependencyType, TaskPriority, TaskStatus


def hours(**kwargs: Any) -> models.DecimalField[Any, Any]:
    return models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)], **kwargs
    )


class Task(BaseModel):
    event_name: ClassVar[str] = "task"

    case = models.ForeignKey("cases.Case", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    entity_type = models.CharField(max_length=50, blank=True)
    entity_id = models.UUIDField(null=True, blank=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=20_000)
    status = models.CharField(max_length=50, choices=TaskStatus.choices, default=TaskStatus.PENDING)
    priority = models.CharField(max_length=20, choices=TaskPriority.choices, default=TaskPriority.MEDIUM)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    due_date = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)
    completed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    overdue_told_at = models.DateTimeField(null=True, blank=True, editable=False)
    estimated_hours = hours()
    actual_hours = hours()
    series = models.ForeignKey(
        "tasks.TaskSeries",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="tasks",
    )
    occurrence = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["series", "occurrence"], name="one_task_per_occurrence"),
        ]
        indexes = [
            models.Index(fields=["assigned_to", "status", "due_date"], name="task_by_assignee"),
            models.Index(fields=["case", "status"], name="task_by_case"),
            models.Index(fields=["entity_type", "entity_id"], name="task_by_entity"),
            models.Index(
                fields=["due_date"],
                condition=Q(status__in=OPEN, overdue_told_at=None, is_deleted=False),
                name="task_to_tell_overdue",
            ),
        ]

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def event_data(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "priority": self.priority,
            "assigned_to": _text(self.assigned_to_id),
            "case": _text(self.case_id),
            "contact": _text(self.contact_id),
            "series": _text(self.series_id),
        }


class TaskDependency(BaseModel):
    """`task` waits for `depends_on`; together they never form a circle (see dependencies.py)."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="dependencies")
    depends_on = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="dependents")
    dependency_type = models.CharField(
        max_length=20, choices=DependencyType.choices, default=DependencyType.FINISH_TO_START
    )

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["task", "depends_on"], condition=Q(is_deleted=False), name="depends_on_it_once"
            ),
            models.CheckConstraint(condition=~Q(task=F("depends_on")), name="depends_on_another_task"),
        ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
