"""Reading workflows: which instances a viewer sees, and what they tell of themselves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from web.shared.core import entities
from web.shared.core.timeline import Entry
from web.shared.core.viewer import Viewer
from web.tenant.workflows.choices import ApprovalStatus, StepKind
from web.tenant.workflows.models import ApprovalRequest, Workflow, WorkflowInstance, WorkflowTransition

VIEW = "workflows.view"


def visible_instances(queryset: QuerySet[Any], viewer: Viewer) -> QuerySet[Any]:
    """Instances on entities that the viewer may see. One query, however many kinds of entities there are."""
    condition = Q()
    for name in entities.names():
        condition |= Q(entity_type=name) & entities.may_be_seen(name, "entity_id", viewer)
    return queryset.filter(condition) if condition else queryset.none()


def instances_of(entity_type: str, entity_id: uuid.UUID) -> QuerySet[WorkflowInstance]:
    """What ran and runs on an entity, the newest first."""
    found = WorkflowInstance.objects.filter(entity_type=entity_type, entity_id=entity_id)
    return found.select_related("workflow", "version").order_by("-created_at")


def waiting(queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Instances with (or, for "false", without) a transition that waits for approval."""
    if text not in ("true", "false"):
        raise ValueError("true or false")
    pending = ApprovalRequest.objects.filter(status=ApprovalStatus.PENDING).values("instance")
    return queryset.filter(pk__in=pending) if text == "true" else queryset.exclude(pk__in=pending)


def published(entity_type: str) -> QuerySet[Workflow]:
    """Workflows that may be started on entities of this type."""
    return Workflow.objects.filter(entity_type=entity_type, status="published", is_active=True)


def folded_stage(steps: Iterable[WorkflowTransition]) -> str:
    """The stage that a history leads to. ValueError names a step that does not follow the one before."""
    stage, expected = "", 1
    for step in sorted(steps, key=lambda one: one.number):
        if step.number != expected or step.from_stage != stage:
            raise ValueError(f"step {step.number} does not follow")
        if (step.kind == StepKind.START) != (step.number == 1):
            raise ValueError(f"step {step.number} is no {step.kind}")
        stage, expected = step.to_stage, expected + 1
    return stage


def timeline_of(entity_type: str) -> Any:
    """A timeline provider: the steps of workflows on an entity of this type."""

    def entries(
        entity_id: uuid.UUID, viewer: Viewer, before: tuple[datetime, str] | None, limit: int
    ) -> list[Entry]:
        if not viewer.may(VIEW):
            return []
        steps = WorkflowTransition.objects.filter(
            instance__entity_type=entity_type, instance__entity_id=entity_id
        ).select_related("instance")
        if before is not None:
            at, pk = before
            steps = steps.filter(Q(at__lt=at) | Q(at=at, pk__lt=pk))
        return [_entry(step) for step in steps.order_by("-at", "-pk")[:limit]]

    return entries


def _entry(step: WorkflowTransition) -> Entry:
    return Entry(
        at=step.at,
        kind="workflow.step",
        id=step.pk,
        actor_id=step.actor_id,
        data={
            "workflow": str(step.instance.workflow_id),
            "instance": str(step.instance_id),
            "transition": step.name,
            "from_stage": step.from_stage,
            "to_stage": step.to_stage,
            "kind": step.kind,
        },
    )
