"""Fixed lists of tasks, and which status may follow which."""

from __future__ import annotations

from django.db import models


class TaskStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    IN_PROGRESS = "in_progress", "In progress"
    BLOCKED = "blocked", "Blocked"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


class TaskPriority(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    URGENT = "urgent", "Urgent"


class DependencyType(models.TextChoices):
    """Read "<what the other must have done> to <what then this may do>"."""

    FINISH_TO_START = "finish_to_start", "May start when the other is finished"
    START_TO_START = "start_to_start", "May start when the other has started"
    FINISH_TO_FINISH = "finish_to_finish", "May finish when the other is finished"
    START_TO_FINISH = "start_to_finish", "May finish when the other has started"


OPEN = (TaskStatus.PENDING.value, TaskStatus.IN_PROGRESS.value, TaskStatus.BLOCKED.value)
CLOSED = (TaskStatus.DONE.value, TaskStatus.CANCELLED.value)

FOLLOWS: dict[str, tuple[str, ...]] = {
    "pending": ("in_progress", "blocked", "done", "cancelled"),
    "in_progress": ("pending", "blocked", "done", "cancelled"),
    "blocked": ("pending", "in_progress", "cancelled"),
    "done": ("pending", "in_progress"),
    "cancelled": ("pending",),
}
"""What is blocked is unblocked before it is done: otherwise nobody says that the obstacle is gone."""
