"""Committed facts become rows.

For each tenant the intake stands at a position of the log. A turn reads the entries after it, keeps those
about calls as CallEvent, computes each touched call anew from all its events (history.py), writes the rows
(rows.py) and moves the position: one transaction, in the tenant's schema. So a crash anywhere repeats the
turn whole, and the size of turns cannot change a row.

A turn is written in one go. When that fails, each call is tried alone, and the one that cannot be applied is
parked with the class of the error: its facts are kept, the others' rows are written, the tenant goes on. A
database that is away parks nobody; the turn is tried again.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError, transaction

from telephony import codec
from telephony.contract import facts as f
from telephony.contract.clock import from_datetime, to_datetime
from telephony.contract.frames import Entry, Unknown
from web.shared.core import log
from web.shared.tenants.context import tenant_context
from web.tenant.calls import outbox, rows
from web.tenant.calls.history import History, fold
from web.tenant.calls.models import CallEvent, IntakePosition, ParkedCall

NAME = "calls"
BATCH = 500
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOT_THE_CALLS_FAULT = (OperationalError, InterfaceError, ProgrammingError, InternalError)

logger = structlog.get_logger(__name__)


class Gap(RuntimeError):
    """The log's next entry is not the one after our position. Reading again may heal it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn did: entries taken, unknown kinds among them, calls parked."""

    taken: int = 0
    unknown: int = 0
    parked: int = 0


def position() -> int:
    """The seq of the last entry whose rows are written, in the tenant chosen now."""
    return IntakePosition.objects.filter(name=NAME).values_list("seq", flat=True).first() or 0


BEHIND = (
    "EXISTS (SELECT FROM public.log_position AS log WHERE log.tenant = current_setting('murima.tenant')"
    " AND log.seq > coalesce((SELECT seq FROM calls_intakeposition WHERE name = %s), 0))",
    (NAME,),
)
"""For `tenants_where`: the tenant's log has entries after our position."""


def turn(tenant_id: str, limit: int = BATCH) -> Turn:
    """Take the next entries of this tenant's log; an empty Turn when there are none."""
    with tenant_context(tenant_id):
        entries = log.read(tenant_id, after=position(), limit=limit)
    return take(tenant_id, entries) if entries else Turn()


def take(tenant_id: str, entries: Sequence[Entry]) -> Turn:
    """Write the rows of these entries and move the position, in one transaction.

    Entries come in order of seq; those before the position are ignored. Raises Gap when one is missing.
    """
    with tenant_context(tenant_id), transaction.atomic():
        stand, _ = IntakePosition.objects.select_for_update().get_or_create(name=NAME)
        fresh = [entry for entry in entries if entry.seq > stand.seq]
        if not fresh:
            return Turn()
        if [entry.seq for entry in fresh] != list(range(stand.seq + 1, stand.seq + 1 + len(fresh))):
            raise Gap(f"entries after {stand.seq} are not complete")
        parked = _apply(tenant_id, fresh)
        stand.seq = fresh[-1].seq
        stand.save()
    unknown = sum(isinstance(entry.fact, Unknown) for entry in fresh)
    return Turn(taken=len(fresh), unknown=unknown, parked=parked)


def retry_parked(tenant_id: str) -> tuple[int, int]:
    """Try every parked call of a tenant again from its stored facts: (mended, still parked)."""
    with tenant_context(tenant_id), transaction.atomic():
        waiting = list(ParkedCall.objects.select_for_update().order_by("call_id"))
        mended = 0
        for parked in waiting:
            call = str(parked.call_id)
            error = _attempt(tenant_id, _from_events(tenant_id, [call]))
            if error is None:
                parked.delete()
                mended += 1
    return mended, len(waiting) - mended


def _apply(tenant_id: str, entries: Sequence[Entry]) -> int:
    """Rows of these entries; returns how many calls had to be parked."""
    by_call = _by_call(entries)
    already = _parked(by_call)
    if not _keep_all(by_call):
        for call, own in by_call.items():
            if not _keep_all({call: own}):
                already |= {call}
                _park(call, own[0].seq, "facts could not be stored")
    due = {call: own for call, own in by_call.items() if call not in already}
    whole = _histories(tenant_id, due)
    parked = 0
    if _attempt(tenant_id, whole) is not None:
        for call, own in due.items():
            error = _attempt(tenant_id, {call: whole[call]})
            if error is not None:
                _park(call, own[0].seq, error)
                logger.warning("intake_call_parked", tenant=tenant_id, call=call, error=error)
                parked += 1
    outbox.settle(entries)
    return parked


def _by_call(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries about calls, by call; what is about agents or published things has no rows here."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        call = getattr(entry.fact, "call", None)
        if call is not None and _UUID.fullmatch(call):
            found[call].append(entry)
    return dict(found)


def _parked(calls: Iterable[str]) -> set[str]:
    return {
        str(call)
        for call in ParkedCall.objects.filter(call_id__in=list(calls)).values_list("call_id", flat=True)
    }


def _park(call: str, seq: int, error: str) -> None:
    ParkedCall.objects.update_or_create(call_id=call, defaults={"seq": seq, "error": error[:100]})


def _keep_all(by_call: dict[str, list[Entry]]) -> bool:
    """Store the facts; False when the database refuses one of them."""
    try:
        with transaction.atomic():
            CallEvent.objects.bulk_create(
                [_event(call, entry) for call, own in by_call.items() for entry in own], ignore_conflicts=True
            )
    except NOT_THE_CALLS_FAULT:
        raise
    except Exception:  # one call's trouble must not be the tenant's
        return False
    return True


def _event(call: str, entry: Entry) -> CallEvent:
    details = json.loads(codec.encode_fact(entry.fact))
    del details["call"]
    return CallEvent(
        seq=entry.seq,
        call_id=call,
        type=type(entry.fact).__name__,
        at=to_datetime(entry.at),
        actor_id=getattr(entry.fact, "agent", None),
        details=details,
    )


Entries = dict[str, list[Entry]]


def _histories(tenant_id: str, due: Entries) -> Entries:
    """All entries of each due call, the earlier ones from the stored events."""
    older = [call for call, own in due.items() if not isinstance(own[0].fact, f.CallArrived)]
    return due | (_from_events(tenant_id, older) if older else {})


def _from_events(tenant_id: str, calls: list[str]) -> Entries:
    found: Entries = {call: [] for call in calls}
    for event in CallEvent.objects.filter(call__in=[uuid.UUID(call) for call in calls]).order_by("seq"):
        call = str(event.call_id)
        found[call].append(_entry(tenant_id, call, event))
    return found


def _entry(tenant_id: str, call: str, event: CallEvent) -> Entry:
    data = json.dumps({"call": call} | dict[str, Any](event.details)).encode()
    return codec.entry(tenant_id, 0, event.seq, from_datetime(event.at), event.type, data, None)


def _attempt(tenant_id: str, entries: Entries) -> str | None:
    """Fold and write these calls inside a savepoint; the class of the error when it cannot be done."""
    try:
        with transaction.atomic():
            histories: list[History] = [fold(own) for own in entries.values()]
            if histories:
                rows.write(tenant_id, histories)
    except NOT_THE_CALLS_FAULT:
        raise
    except Exception as error:  # one call's trouble must not be the tenant's
        return type(error).__name__
    return None
