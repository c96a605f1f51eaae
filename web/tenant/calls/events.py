"""Domain events about calls: the few things of a call's life that the rest of the domain follows.

The intake tells them when a row changes its status (`told` in rows.py), so each is told once per call
however often the row is computed. People's corrections are told by the services as `call.updated`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from web.shared.core.actor import system
from web.shared.core.events import declare, declare_resource, emit_many
from web.tenant.calls.choices import ALIVE, CallStatus
from web.tenant.calls.models import Call

_CARRIES = {
    "direction": str,
    "status": str,
    "outcome": str,
    "queue": uuid.UUID,
    "agent": uuid.UUID,
    "contact": uuid.UUID,
    "case": uuid.UUID,
    "disposition": str,
}

declare_resource("call", "Call", **_CARRIES)
declare_resource("skill", "Skill", is_active=bool)
STARTED = declare("call.started", "A call came in, or was placed", **_CARRIES)
ANSWERED = declare("call.answered", "An agent and the caller talk", **_CARRIES)
ENDED = declare("call.ended", "A call is over; `outcome` says how", **_CARRIES)
WRITTEN_UP = declare("call.written_up", "An agent finished the wrap-up of a call", **_CARRIES)


def tell(calls: Iterable[Call], before: dict[uuid.UUID, str]) -> None:
    """Tell what is new of `calls`, whose status was `before` (calls not in it had no row)."""
    told: dict[str, list[Call]] = {STARTED: [], ANSWERED: [], ENDED: []}
    for call in calls:
        was = before.get(call.pk)
        if was is None:
            told[STARTED].append(call)
        if call.answered_at is not None and was in (None, CallStatus.RINGING):
            told[ANSWERED].append(call)
        if call.status not in ALIVE and (was is None or was in ALIVE):
            told[ENDED].append(call)
    for kind, about in told.items():
        emit_many(kind, actor=system("intake"), objects=[(call.pk, call.event_data()) for call in about])
