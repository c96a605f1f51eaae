"""The two actions that workflows bring themselves: start one, and move one along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError

from telephony.contract.conditions import Problem
from web.shared.core import entities
from web.shared.core.viewer import everything
from web.tenant.workflows import running
from web.tenant.workflows.actions import ActionCall, Wanted, action
from web.tenant.workflows.models import Workflow, WorkflowInstance
from web.tenant.workflows.permissions import RUN

_NAME = {"type": "string", "minLength": 1, "maxLength": 100}


def register() -> None:
    action(
        "workflow.start",
        "Start a workflow",
        {
            "type": "object",
            "required": ["workflow"],
            "additionalProperties": False,
            "properties": {"workflow": {**_NAME, "description": "The workflow's name."}},
        },
        start,
        needs=[RUN],
        look=unknown,
    )
    action(
        "workflow.transition",
        "Move a running workflow along",
        {
            "type": "object",
            "required": ["workflow", "transition"],
            "additionalProperties": False,
            "properties": {"workflow": _NAME, "transition": _NAME},
        },
        move,
        needs=[RUN],
        look=unknown,
    )


def unknown(wanted: Wanted) -> Iterator[Problem]:
    """A workflow that is not there, or a transition that no version of it, nor its draft, has."""
    rows = Workflow.objects.filter(name=wanted.parameters["workflow"], entity_type=wanted.entity_type)
    workflow = rows.first()
    if workflow is None:
        yield Problem("/workflow", f"There is no workflow of this name for a {wanted.entity_type}.")
    elif "transition" in wanted.parameters:
        charts = [workflow.transitions, *workflow.versions.values_list("transitions", flat=True)]
        names = {one["name"] for chart in charts for one in chart}
        if wanted.parameters["transition"] not in names:
            yield Problem("/transition", f"One of: {', '.join(sorted(names))}.")


def start(call: ActionCall) -> dict[str, Any]:
    """Nothing happens when it is running there already: that is what was wanted."""
    workflow = _workflow(call)
    entities.row(call.entity_type, call.entity_id, everything())
    running_one = _running(workflow, call)
    if running_one is None:
        running_one = running.instance_start(
            mover=running.Mover(call.actor), workflow=workflow, entity_id=call.entity_id
        )
    return {"instance": running_one.pk}


def move(call: ActionCall) -> dict[str, Any]:
    """Take a transition; what the guard or the stage forbids is final and stands in the log."""
    instance = _running(_workflow(call), call)
    if instance is None:
        raise ValidationError("The workflow does not run there.")
    mover = running.Mover(call.actor)
    moved, _ = running.instance_move(mover=mover, instance=instance, transition=call.parameters["transition"])
    return {"instance": moved.pk}


def _workflow(call: ActionCall) -> Workflow:
    return Workflow.objects.get(name=call.parameters["workflow"], entity_type=call.entity_type)


def _running(workflow: Workflow, call: ActionCall) -> WorkflowInstance | None:
    return WorkflowInstance.objects.filter(
        workflow=workflow, entity_type=call.entity_type, entity_id=call.entity_id, completed_at=None
    ).first()
