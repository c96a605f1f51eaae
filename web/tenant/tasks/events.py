"""What tasks tell. Events name ids and states; who needs the words reads the task."""

from __future__ import annotations

import uuid

from web.shared.core.events import declare, declare_resource

STATE = {
    "status": str,
    "priority": str,
    "assigned_to": uuid.UUID,
    "case": uuid.UUID,
    "contact": uuid.UUID,
    "series": uuid.UUID,
}

declare_resource("task", "Task", **STATE)
declare_resource("task_series", "Task series")
declare("task.assigned", "A task was given to somebody", previous=uuid.UUID, **STATE)
declare("task.completed", "A task was done", **STATE)
declare("task.overdue", "A task's due date passed", due_date=str, **STATE)
declare("task.reminder", "A reminder of a task came due", reminder=uuid.UUID, recipient=uuid.UUID, **STATE)
declare(
    "task.commented",
    "Somebody commented on a task",
    comment=uuid.UUID,
    is_internal=bool,
    mentions=list,
    **STATE,
)
