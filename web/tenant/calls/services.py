"""Writing about calls: what agents say about them, and everything that routing.py publishes.

`wrap_up_finish` stores what the agent said and, in the same transaction, an ask to the daemon in the outbox;
the ask goes out right after the commit and again until the daemon acted. The call's own row may not be there
yet: the wrap-up then waits for it (see models/wrap_up.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from telephony.contract.asks import FinishWrapUp
from telephony.contract.ids import AgentId, CallId
from web.shared.api.problems import Conflict
from web.shared.core import audit, events, parties
from web.shared.core import services as base
from web.shared.core.actor import Actor, ActorKind
from web.shared.tenants.context import current_tenant_id
from web.tenant.calls import outbox, queries
from web.tenant.calls.choices import ALIVE
from web.tenant.calls.models import Call, CallDisposition, CallDraft, NotReadyReason, WrapUp
from web.tenant.calls.models.wrap_up import MAX_NOTE
from web.tenant.calls.routing import (
    device_remove,
    device_update,
    digest_of,
    member_add,
    member_remove,
    member_update,
    number_add,
    number_remove,
    number_update,
    queue_create,
    queue_delete,
    queue_update,
    shift_credentials,
    sip_device_create,
)

DRAFTS_KEPT = timedelta(days=30)

__all__ = [
    "call_update",
    "caller_erase",
    "device_remove",
    "device_update",
    "digest_of",
    "disposition_create",
    "disposition_delete",
    "disposition_update",
    "draft_write",
    "drafts_forget",
    "member_add",
    "member_remove",
    "member_update",
    "number_add",
    "number_remove",
    "number_update",
    "queue_create",
    "queue_delete",
    "queue_update",
    "reason_create",
    "reason_delete",
    "reason_update",
    "shift_credentials",
    "sip_device_create",
    "wrap_up_finish",
]


class StaleDraft(Conflict):
    """`draft` holds what is stored: {note, disposition, revision}."""

    code = "stale_draft"
    title = "A newer draft is stored"
    meaning = "Another tab or device wrote after the revision you sent. `draft` is what is stored now."


# --- wrap-up ----------------------------------------------------------------------------------------------


def wrap_up_finish(
    call: str | uuid.UUID,
    user_id: str | uuid.UUID,
    disposition: str,
    note: str = "",
    *,
    ask_id: str | None = None,
    actor: Actor | None = None,
) -> str:
    """Store the agent's disposition and note, and ask the daemon to end the wrap-up.

    Returns the id of that ask: whoever waits for the daemon's ack looks for it. Calling it again changes what
    is stored and asks again, under the same id unless `ask_id` names another. ValidationError for a code that
    is unknown or not active, a missing or over-long note, or a call that is over and was never theirs.
    """
    call_id, user = uuid.UUID(str(call)), uuid.UUID(str(user_id))
    actor = actor or Actor(ActorKind.USER, id=user)
    with transaction.atomic():
        _refuse_a_strangers_call(call_id, user)
        chosen = _chosen_disposition(disposition, note)
        said = {"disposition": chosen, "note": note, "finished_at": timezone.now()}
        row, _ = WrapUp.objects.update_or_create(
            call_id=call_id,
            user_id=user,
            defaults=said | ({"ask_id": ask_id} if ask_id else {}),
            create_defaults=said | {"ask_id": ask_id or str(uuid.uuid4())},
        )
        _copy_to_call(row, actor)
        CallDraft.objects.filter(call_id=call_id, user_id=user).delete()
        audit.record(
            actor=actor,
            action="wrap_up",
            object_type="calls.call",
            object_id=str(call_id),
            changes={"disposition": chosen.code},
        )
        body = FinishWrapUp(agent=AgentId(str(user)), call=CallId(str(call_id)), disposition=chosen.code)
        outbox.put(row.ask_id, body, actor=f"user:{user}", call=call_id)
    return row.ask_id


def _chosen_disposition(code: str, note: str) -> CallDisposition:
    chosen = CallDisposition.objects.filter(code=code, is_active=True).first()
    if chosen is None:
        raise base.refuse(disposition="There is no active disposition with this code.")
    if chosen.requires_note and not note.strip():
        raise base.refuse(note="This disposition needs a note.")
    if len(note) > MAX_NOTE:
        raise base.refuse(note=f"At most {MAX_NOTE} characters.")
    if "\x00" in note:
        raise base.refuse(note="The character NUL cannot be stored.")
    return chosen


def _refuse_a_strangers_call(call_id: uuid.UUID, user_id: uuid.UUID) -> None:
    """While a call lives its rows may lag; the intake leaves out what somebody wrote who never talked."""
    over = Call.objects.filter(pk=call_id).exclude(status__in=ALIVE).exists()
    if over and not queries.has_talked(call_id, user_id):
        raise base.refuse(call="This was not a call of yours.")


def _copy_to_call(wrap_up: WrapUp, actor: Actor) -> None:
    if not queries.has_talked(wrap_up.call_id, wrap_up.user_id):
        return
    call = Call.objects.select_for_update(of=("self",)).filter(pk=wrap_up.call_id).first()
    if call is not None:
        call.disposition, call.note = wrap_up.disposition, wrap_up.note
        call.updated_by_id = actor.user_id
        call.save(update_fields=["disposition", "note", "updated_by"])
        events.emit("call.written_up", obj=call, actor=actor, data=call.event_data())


# --- drafts -----------------------------------------------------------------------------------------------


def draft_write(
    *, call_id: uuid.UUID, user_id: uuid.UUID, note: str, disposition: str, revision: int
) -> CallDraft:
    """Store a draft made from `revision` (0: there was none); the stored one is `revision + 1`.

    StaleDraft when another was stored since. The same text sent again after a lost answer is no conflict.
    """
    with transaction.atomic():
        draft, _ = CallDraft.objects.select_for_update().get_or_create(call_id=call_id, user_id=user_id)
        if draft.revision != revision:
            repeated = draft.revision == revision + 1 and (draft.note, draft.disposition) == (
                note,
                disposition,
            )
            if repeated:
                return draft
            raise StaleDraft(draft=draft_document(draft))
        draft.note, draft.disposition, draft.revision = note, disposition, revision + 1
        draft.full_clean(validate_unique=False, validate_constraints=False)
        draft.save()
    return draft


def drafts_forget() -> None:
    """Remove drafts that nobody touched for DRAFTS_KEPT, in the tenant chosen now."""
    CallDraft.objects.filter(updated_at__lt=timezone.now() - DRAFTS_KEPT).delete()


def draft_document(draft: CallDraft | None) -> dict[str, Any]:
    """{note, disposition, revision} of a draft, or of there being none."""
    if draft is None:
        return {"note": "", "disposition": None, "revision": 0}
    return {"note": draft.note, "disposition": draft.disposition or None, "revision": draft.revision}


# --- calls, dispositions, reasons -------------------------------------------------------------------------


def call_update(*, actor: Actor, call: Call, values: Mapping[str, Any]) -> Call:
    """What people may correct afterwards: contact, case, disposition, note."""
    strange = set(values) - {"contact", "case", "disposition", "note"}
    if strange:
        raise ValidationError(dict.fromkeys(strange, "This field cannot be changed."))
    return base.update(call, actor=actor, values=values)


def caller_erase(*, actor: Actor, party: uuid.UUID) -> int:
    """Erase a caller's number and name, in the shared party row and in every call here; returns the calls."""
    with transaction.atomic():
        parties.erase(str(current_tenant_id()), str(party))
        rows = Call.all_objects.select_for_update(of=("self",)).filter(party=party).order_by("pk")
        for call in rows:
            call.caller_number = call.caller_name = ""
            call.save(update_fields=["caller_number", "caller_name"])
        audit.record(actor=actor, action="erase", object_type="calls.party", object_id=str(party))
    return len(rows)


def disposition_create(*, actor: Actor, values: Mapping[str, Any]) -> CallDisposition:
    return base.create(CallDisposition, actor=actor, values=values)


def disposition_update(
    *, actor: Actor, disposition: CallDisposition, values: Mapping[str, Any]
) -> CallDisposition:
    return base.update(disposition, actor=actor, values=values)


def disposition_delete(*, actor: Actor, disposition: CallDisposition) -> None:
    base.soft_delete(disposition, actor=actor)


def reason_create(*, actor: Actor, values: Mapping[str, Any]) -> NotReadyReason:
    return base.create(NotReadyReason, actor=actor, values=values)


def reason_update(*, actor: Actor, reason: NotReadyReason, values: Mapping[str, Any]) -> NotReadyReason:
    return base.update(reason, actor=actor, values=values)


def reason_delete(*, actor: Actor, reason: NotReadyReason) -> None:
    base.soft_delete(reason, actor=actor)
