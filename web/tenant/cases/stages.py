"""A case's stage, as its workflow says it: the consumer `case_stages` follows workflows' events."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from web.shared.core import events
from web.shared.core.actor import system
from web.tenant.cases.models import Case
from web.tenant.cases.services.changing import change

if TYPE_CHECKING:
    from web.shared.records.models import DomainEvent

ACTOR = system("workflows")
FOLLOWED = {"workflow_instance.created", "workflow.transitioned", "workflow.migrated"}


def wanted(kinds: set[str]) -> set[str]:
    return kinds & FOLLOWED


def follow(batch: list[DomainEvent]) -> None:
    """Write the newest stage of each instance that runs on a case into the case."""
    newest: dict[str, DomainEvent] = {}
    for event in batch:
        if event.type in FOLLOWED and event.data.get("entity_type") == "case":
            newest[str(event.data.get("entity_id"))] = event
    for case_id, event in newest.items():
        case = Case.objects.select_for_update(of=("self",)).filter(pk=uuid.UUID(case_id)).first()
        if case is not None and case.merged_into_id is None:
            values: dict[str, Any] = {"current_stage": str(event.data.get("stage", ""))[:50]}
            if workflow := event.data.get("workflow"):
                values["workflow_id"] = uuid.UUID(str(workflow))
            with events.caused_by(event):
                change(actor=ACTOR, case=case, values=values, reason="workflow")
