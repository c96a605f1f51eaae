"""What calls keep about a contact: erased, exported and moved with the contact (core.erasure).

A contact's calls are those linked to it, and for erasure also those that came from a number which nobody else
has. What goes: the caller's number and name, here and in the party of the log, and every note and draft.
Times, outcomes, queues and agents stay: they are statistics, and say nothing about the person any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from web.shared.core import audit, parties
from web.shared.core.actor import Actor
from web.shared.tenants.context import current_tenant_id
from web.tenant.calls.models import Call, CallDraft, WrapUp
from web.tenant.contacts import queries as contacts


def erase(contact: UUID, actor: Actor) -> int:
    """Empty what tells who called and what was said; returns how many rows were emptied or removed."""
    tenant, numbers = str(current_tenant_id()), contacts.numbers_to_erase(contact)
    same = {party for number in numbers for party in parties.same_caller(tenant, number)}
    theirs = Q(contact=contact) | Q(caller_number__in=numbers) | Q(party__in=same)
    calls = list(Call.all_objects.select_for_update(of=("self",)).filter(theirs).order_by("pk"))
    ids = [call.pk for call in calls]
    for party in same | {str(call.party) for call in calls if call.party is not None}:
        parties.erase(tenant, party)
    count = Call.all_objects.filter(pk__in=ids).update(
        caller_number="", caller_name="", note="", revision=F("revision") + 1
    )
    count += WrapUp.objects.filter(call_id__in=ids).exclude(note="").update(note="")
    count += CallDraft.objects.filter(call_id__in=ids).delete()[0]
    audit.record_many(actor=actor, action="erase", model=Call, objects=[(pk, {}) for pk in ids])
    return count


def export(contact: UUID) -> list[dict[str, Any]]:
    """The contact's calls, as plain values."""
    rows = Call.objects.filter(contact=contact).order_by("started_at", "pk").select_related("disposition")
    return [
        {
            "type": "call",
            "id": str(call.pk),
            "direction": call.direction,
            "started_at": call.started_at.isoformat(),
            "answered_at": None if call.answered_at is None else call.answered_at.isoformat(),
            "ended_at": None if call.ended_at is None else call.ended_at.isoformat(),
            "outcome": call.outcome,
            "caller_number": call.caller_number,
            "caller_name": call.caller_name,
            "disposition": None if call.disposition is None else call.disposition.name,
            "note": call.note,
        }
        for call in rows
    ]


def move(from_id: UUID, to_id: UUID) -> dict[str, Any]:
    """Give one contact's calls to another; returns what `put_back` needs."""
    rows = Call.all_objects.select_for_update(of=("self",)).filter(contact=from_id).order_by("pk")
    ids = [call.pk for call in rows]
    _give(ids, to_id)
    return {"from": str(from_id), "to": str(to_id), "calls": [str(pk) for pk in ids]}


def put_back(record: dict[str, Any]) -> None:
    """Undo `move`, for the calls that nobody linked to somebody else since."""
    still = Call.all_objects.filter(pk__in=record["calls"], contact=record["to"])
    _give(list(still.values_list("pk", flat=True)), UUID(record["from"]))


def _give(calls: Iterable[UUID], contact: UUID) -> None:
    Call.all_objects.filter(pk__in=list(calls)).update(contact=contact, revision=F("revision") + 1)
