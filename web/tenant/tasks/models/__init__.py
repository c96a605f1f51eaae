"""Tasks and what belongs to them."""

from web.tenant.tasks.models.parts import TaskChecklistItem, TaskComment, TaskReminder
from web.tenant.tasks.models.series import TaskSeries
from web.tenant.tasks.models.task import Task, TaskDependency

__all__ = [
    "Task",
    "TaskChecklistItem",
    "TaskComment",
    "TaskDependency",
    "TaskReminder",
    "TaskSeries",
]
