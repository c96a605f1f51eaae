"""Codes and routes of tasks. A task belongs to whom it is assigned and to who made it."""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource, route

TASKS_VIEW = permission(
    "tasks.view", "See tasks", all=["supervisor", "viewer"], team=["case_worker"], own=["agent"]
)
TASKS_EDIT = permission(
    "tasks.edit", "Add and change tasks", all=["supervisor"], team=["case_worker"], own=["agent"]
)
TASKS_DELETE = permission("tasks.delete", "Delete tasks", all=["supervisor"], own=["case_worker"])
TASKS_ASSIGN = permission("tasks.assign", "Give tasks to others", all=["supervisor", "case_worker"])
TASKS_EXPORT = permission("tasks.export", "Export tasks", all=["supervisor"])

resource("tasks:task", view=TASKS_VIEW, edit=TASKS_EDIT, delete=TASKS_DELETE)
resource("tasks:series", view=TASKS_VIEW, edit=TASKS_EDIT, delete=TASKS_DELETE)
route("tasks:series-preview", POST=TASKS_VIEW)
for _part in ("comment", "dependency", "reminder", "checklist"):
    resource(f"tasks:{_part}", view=TASKS_VIEW, edit=TASKS_EDIT)
route("tasks:exports", POST=TASKS_EXPORT)
route("tasks:bulk-assign", POST=TASKS_ASSIGN)
route("tasks:bulk-complete", POST=TASKS_EDIT)
