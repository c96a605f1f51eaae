"""What workflows keep about a person: the reasons and comments that people typed, and an instance's data.

Only the entity itself knows whom it is about, so each entity that has such words is asked. Steps, stages and
times stay: they are the organisation's record of its work, and name nobody.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.apps import apps
from django.db.models import F, Q
from django.utils import timezone

from web.shared.core import entities
from web.shared.core.actor import Actor
from web.tenant.workflows.models import (
    ApprovalRequest,
    ApprovalVote,
    WorkflowInstance,
    WorkflowTransition,
)

CHUNK = 500


def instances_about(contact_id: uuid.UUID) -> list[uuid.UUID]:
    """Instances on this contact, or on an entity that is about this contact."""
    found = list(
        WorkflowInstance.all_objects.filter(entity_type="contact", entity_id=contact_id).values_list(
            "pk", flat=True
        )
    )
    for name in entities.names():
        if name != "contact":
            found += _about(name, contact_id)
    return found


def _about(name: str, contact_id: uuid.UUID) -> list[uuid.UUID]:
    entity = entities.get(name)
    wordy = Q(history__reason__gt="") | Q(approvals__reason__gt="") | Q(approvals__votes__comment__gt="")
    instances = (
        WorkflowInstance.all_objects.filter(wordy | ~Q(data={}), entity_type=name)
        .values_list("entity_id", "pk")
        .distinct()
    )
    by_entity: dict[uuid.UUID, list[uuid.UUID]] = {}
    for entity_id, pk in instances:
        by_entity.setdefault(entity_id, []).append(pk)
    ids, found = list(by_entity), []
    rows = apps.get_model(entity.model)
    manager: Any = getattr(rows, "all_objects", rows._default_manager)
    for start in range(0, len(ids), CHUNK):
        for row in manager.filter(pk__in=ids[start : start + CHUNK]):
            if entity.contact(row) == contact_id:
                found += by_entity[row.pk]
    return found


def erase(contact_id: uuid.UUID, actor: Actor) -> int:
    """Empty the words; returns how many rows had some."""
    ids = instances_about(contact_id)
    changed = {"revision": F("revision") + 1, "updated_at": timezone.now()}
    count = WorkflowInstance.all_objects.filter(pk__in=ids).exclude(data={}).update(data={}, **changed)
    count += WorkflowTransition.objects.filter(instance__in=ids, reason__gt="").update(reason="")
    count += ApprovalRequest.objects.filter(instance__in=ids, reason__gt="").update(reason="")
    count += ApprovalVote.objects.filter(request__instance__in=ids, comment__gt="").update(comment="")
    return count


def export(contact_id: uuid.UUID) -> list[dict[str, Any]]:
    """What ran for this person: workflow, stage, data and reasons."""
    rows = WorkflowInstance.all_objects.filter(pk__in=instances_about(contact_id))
    return [
        {
            "type": "workflow",
            "workflow": row.workflow.name,
            "stage": row.current_stage,
            "started_at": row.started_at.isoformat(),
            "data": row.data,
            "reasons": [step.reason for step in row.history.all() if step.reason],
        }
        for row in rows.select_related("workflow").prefetch_related("history")
    ]


def move(from_id: uuid.UUID, to_id: uuid.UUID) -> list[str]:
    """When contacts are merged: instances go along, except one whose workflow runs at the other already."""
    both = WorkflowInstance.all_objects.filter(entity_type="contact")
    taken = both.filter(entity_id=to_id, completed_at=None, is_deleted=False).values("workflow")
    moving = both.filter(entity_id=from_id).exclude(completed_at=None, is_deleted=False, workflow__in=taken)
    ids = [str(pk) for pk in moving.values_list("pk", flat=True)]
    both.filter(pk__in=ids).update(entity_id=to_id, revision=F("revision") + 1, updated_at=timezone.now())
    return [str(from_id), *ids]


def undo(record: list[str]) -> None:
    """Put them back."""
    back, *ids = record
    WorkflowInstance.all_objects.filter(pk__in=ids).update(
        entity_id=uuid.UUID(back), revision=F("revision") + 1, updated_at=timezone.now()
    )
