"""What the tests of workflows share: an entity that needs no higher app, and a small workflow on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from web.shared.core import entities
from web.shared.core.actor import system
from web.shared.core.viewer import everything
from web.tenant.reference_data import services as reference
from web.tenant.reference_data.models import CaseCategory
from web.tenant.workflows import actions, running, services
from web.tenant.workflows.models import Workflow, WorkflowInstance

__all__ = ["ACTOR", "SYSTEM", "acting", "done", "made", "move", "start", "thing", "things", "workflow"]
ACTOR = system("tests")
SYSTEM = running.Mover(ACTOR)

STAGES: list[dict[str, Any]] = [
    {"name": "new", "initial": True, "time_limit_minutes": 60},
    {"name": "open"},
    {"name": "closed", "final": True},
]
TRANSITIONS: list[dict[str, Any]] = [
    {"name": "accept", "from": ["new"], "to": "open"},
    {"name": "close", "from": ["open"], "to": "closed"},
    {"name": "reopen", "from": ["closed"], "to": "open"},
]


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entity "thing": a category, whose facts are its code and whether it is active."""
    monkeypatch.setattr(entities, "_entities", dict(entities._entities))
    entities.entity(
        "thing",
        model="reference_data.CaseCategory",
        code="reference_data.view",
        visible=lambda queryset, viewer: viewer.narrow(queryset, "reference_data.view"),
        facts=lambda row: {"code": row.code, "active": row.is_active, "notes": row.description},
        contact=lambda row: uuid.UUID(int=7) if row.code.startswith("of-seven") else None,
    )


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[actions.ActionCall]]:
    """Calls of the actions "test.note" and "test.fail"; the second raises."""
    calls: list[actions.ActionCall] = []
    monkeypatch.setattr(actions, "_actions", dict(actions._actions))

    def note(call: actions.ActionCall) -> dict[str, Any]:
        calls.append(call)
        return {"id": call.entity_id, "said": "words", "count": 1}

    def fail(call: actions.ActionCall) -> None:
        calls.append(call)
        raise OSError("down")

    schema = {"type": "object", "additionalProperties": False, "properties": {"text": {"type": "string"}}}
    actions.action("test.note", "Note", schema, note)
    actions.action("test.fail", "Fail", schema, fail)
    yield calls


def thing(code: str = "", **values: Any) -> CaseCategory:
    """An entity."""
    code = code or uuid.uuid4().hex[:12]
    made = {"code": code, "name": code, **values}
    return reference.reference_create(CaseCategory, actor=ACTOR, values=made)


def made(name: str = "", **values: Any) -> Workflow:
    """A draft on things."""
    parts = {"stages": STAGES, "transitions": TRANSITIONS, "actions": [], "entity_type": "thing", **values}
    return services.workflow_create(actor=ACTOR, values={"name": name or uuid.uuid4().hex, **parts})


def workflow(name: str = "", **values: Any) -> Workflow:
    """A published one."""
    row = made(name, **values)
    services.workflow_publish(actor=ACTOR, viewer=everything(), workflow=row)
    row.refresh_from_db()
    return row


def start(row: Workflow, on: CaseCategory | None = None) -> WorkflowInstance:
    """An instance, on a thing of its own when none is given."""
    return running.instance_start(mover=SYSTEM, workflow=row, entity_id=(on or thing()).pk)


def move(instance: WorkflowInstance, name: str, **more: Any) -> WorkflowInstance:
    return running.instance_move(mover=SYSTEM, instance=instance, transition=name, **more)[0]


def acting(*wanted: tuple[str, str, str]) -> Workflow:
    return workflow(actions=[{"when": when, "name": name, "action": one} for when, name, one in wanted])
