"""What workflows and rules can do with tasks: make one.

The task hangs on the entity that the workflow runs on. `assign` names who gets it: a user's id, or
`assignee`, whoever has the entity. Who is no member when the rule is saved is refused; who is none any more
when it fires gets nothing: the task is left open to all.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils import timezone

from telephony.contract.conditions import Problem
from web.shared.core import entities
from web.shared.core.viewer import everything
from web.tenant.tasks import people, services
from web.tenant.tasks.choices import TaskPriority
from web.tenant.tasks.permissions import TASKS_ASSIGN, TASKS_EDIT
from web.tenant.workflows.actions import ActionCall, Wanted, action

ASSIGNEE = "assignee"
SCHEMA = {
    "type": "object",
    "required": ["title"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": {"type": "string", "maxLength": 5000},
        "priority": {"enum": TaskPriority.values},
        "assign": {"type": "string", "maxLength": 40, "description": "A user's id, or `assignee`."},
        "due_in_hours": {"type": "number", "minimum": 0, "maximum": 24 * 366},
        "checklist": {
            "type": "array",
            "maxItems": 50,
            "items": {"type": "string", "minLength": 1, "maxLength": 300},
        },
    },
}


def register() -> None:
    needs = [TASKS_EDIT, TASKS_ASSIGN]
    action("task.create", "Create a task", SCHEMA, create, needs=needs, look=unknown)


def unknown(wanted: Wanted) -> Iterator[Problem]:
    """Somebody who is no member."""
    assign = str(wanted.parameters.get("assign", ""))
    if assign and assign != ASSIGNEE and _member(assign) is None:
        yield Problem("/assign", f"There is no such member. A user's id, or `{ASSIGNEE}`.")


def create(call: ActionCall) -> dict[str, Any]:
    """Runs in the transaction that marks the action done, so a retry makes no second task."""
    given = call.parameters
    values: dict[str, Any] = {
        "title": given["title"],
        "description": given.get("description", ""),
        "priority": given.get("priority", TaskPriority.MEDIUM.value),
        "assigned_to": _assignee(call),
    }
    if call.entity_type == "case":
        values["case_id"] = call.entity_id
    else:
        values |= {"entity_type": call.entity_type, "entity_id": call.entity_id}
    if "due_in_hours" in given:
        values["due_date"] = timezone.now() + timedelta(hours=given["due_in_hours"])
    task = services.task_create(actor=call.actor, values=values, checklist=given.get("checklist", ()))
    return {"task": task.pk}


def _assignee(call: ActionCall) -> Any:
    wanted = str(call.parameters.get("assign", ""))
    if wanted == ASSIGNEE:
        row = entities.row(call.entity_type, call.entity_id, everything())
        wanted = str(getattr(row, "assigned_to_id", None) or "")
    return _member(wanted)


def _member(text: str) -> Any:
    try:
        return people.member(uuid.UUID(text)) if text else None
    except ValueError:
        return None
