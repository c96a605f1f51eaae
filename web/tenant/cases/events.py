"""What cases tell."""

from __future__ import annotations

import uuid

from web.shared.core.events import declare, declare_resource

declare_resource(
    "case",
    "Case",
    status=str,
    priority=str,
    case_type=uuid.UUID,
    assigned_to=uuid.UUID,
    confidentiality=str,
    channel=str,
)
declare_resource("case_party", "Party of a case", case=uuid.UUID, role=str)
declare_resource("case_note", "Note of a case", case=uuid.UUID, is_internal=bool)
declare_resource("case_form", "Form of a case type", case_type=uuid.UUID, version=int)
declare_resource("case_view", "Saved view of cases", is_shared=bool)
declare_resource("business_calendar", "Business calendar")
declare_resource("sla_policy", "SLA policy")

ASSIGNED = declare(
    "case.assigned", "A case was given to somebody, or to nobody", assigned_to=uuid.UUID, was=uuid.UUID
)
LEASE_EXPIRED = declare(
    "case.lease_expired", "Nobody acknowledged the case in time: it is back in the pool", was=uuid.UUID
)
ACKNOWLEDGED = declare("case.acknowledged", "Who was given the case took it up", assigned_to=uuid.UUID)
TRANSITIONED = declare(
    "case.transitioned", "A case's status changed", status=str, was=str, reopened=bool, assigned_to=uuid.UUID
)
MERGED = declare("case.merged", "A case went into another one", into=uuid.UUID, merge=uuid.UUID)
UNMERGED = declare("case.unmerged", "A merge was undone", out_of=uuid.UUID, merge=uuid.UUID)
LINKED = declare("case.linked", "Two cases were linked", to=uuid.UUID, link_type=str)
UNLINKED = declare("case.unlinked", "A link between two cases was removed", to=uuid.UUID, link_type=str)
WATCHED = declare("case.watched", "Somebody watches a case", user=uuid.UUID)
UNWATCHED = declare("case.unwatched", "Somebody no longer watches a case", user=uuid.UUID)
NOTE_ADDED = declare(
    "case.note_added", "A note was written on a case", note=uuid.UUID, is_internal=bool, mentions=list
)

_CLOCK = {"clock": str, "cycle": int, "policy": uuid.UUID, "assigned_to": uuid.UUID}
SLA_WARNING = declare("sla.warning", "Three quarters of a case's time are used up", **_CLOCK)
SLA_BREACHED = declare("sla.breached", "A case's time is over", **_CLOCK)
SLA_MET = declare("sla.met", "A case's clock ended in time", **_CLOCK)
SLA_ESCALATED = declare(
    "sla.escalated", "A step of an SLA policy was taken", **_CLOCK, step=str, user=uuid.UUID, outcome=str
)
