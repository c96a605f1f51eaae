"""Tables of calls, in five groups.

routing: queues, numbers, who serves which queue, on which phone; what is published to the daemon.
skills: what agents can do and queues ask for.
wrap_up: dispositions, not-ready reasons, drafts, and what an agent wrote when the call was over.
history: calls and their parts, written by the intake alone, except for what people add afterwards.
progress: where the intake stands, what it could not apply, and asks on their way to the daemon.
"""

from web.tenant.calls.models.history import Call, CallEvent, CallTransfer, QueueVisit, Segment
from web.tenant.calls.models.progress import IntakePosition, OutboxAsk, ParkedCall
from web.tenant.calls.models.routing import AgentDevice, CallQueue, NumberRoute, QueueMembership
from web.tenant.calls.models.skills import AgentSkill, QueueSkill, Skill
from web.tenant.calls.models.wrap_up import CallDisposition, CallDraft, NotReadyReason, WrapUp

__all__ = [
    "AgentDevice",
    "AgentSkill",
    "Call",
    "CallDisposition",
    "CallDraft",
    "CallEvent",
    "CallQueue",
    "CallTransfer",
    "IntakePosition",
    "NotReadyReason",
    "NumberRoute",
    "OutboxAsk",
    "ParkedCall",
    "QueueMembership",
    "QueueSkill",
    "QueueVisit",
    "Segment",
    "Skill",
    "WrapUp",
]
