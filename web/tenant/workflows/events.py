"""What workflows and business rules tell."""

from __future__ import annotations

import uuid

from web.shared.core.events import declare, declare_resource

_INSTANCE = {"workflow": uuid.UUID, "entity_type": str, "entity_id": uuid.UUID, "stage": str}

declare_resource("workflow", "Workflow", status=str, version=int, entity_type=str)
declare("workflow.published", "A workflow's draft became its newest version", version=int)
declare("workflow.retired", "A workflow starts no more")

declare_resource("workflow_instance", "Workflow instance", **_INSTANCE)
declare(
    "workflow.transitioned",
    "A workflow instance is in another stage",
    **_INSTANCE,
    transition=str,
    from_stage=str,
    completed=bool,
)
declare("workflow.overdue", "A workflow instance stayed in its stage longer than it may", **_INSTANCE)
declare("workflow.approval_requested", "A transition waits for approval", **_INSTANCE, transition=str)
declare("workflow.approved", "A transition has all its approvals", **_INSTANCE, transition=str)
declare("workflow.rejected", "A transition was not approved", **_INSTANCE, transition=str)
declare("workflow.migrated", "A workflow instance runs on another version", **_INSTANCE, version=int)

declare_resource("business_rule", "Business rule", is_active=bool, version=int, entity_type=str)
