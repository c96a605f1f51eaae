"""From histories to rows: what the intake writes.

Rows of many calls are written with a handful of statements. Calls that exist are locked first, in order of
their ids, because services lock them too. Who called and which contact that is, is found once, when the row
is made; afterwards both belong to people and to erasure. A disposition that an agent stored wins over the
code in the facts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection

from telephony.contract.clock import Duration, Instant, to_datetime
from telephony.contract.facts import CallOutcome
from telephony.contract.policy import WRAPUP_TIMEOUT
from telephony.contract.view import CallState
from web.shared.core import parties
from web.tenant.calls import events
from web.tenant.calls import history as fold
from web.tenant.calls.choices import CallStatus
from web.tenant.calls.models import Call, CallDisposition, QueueVisit, Segment, WrapUp
from web.tenant.contacts import phone_numbers
from web.tenant.contacts import queries as contacts

FROM_FACTS = [
    "status",
    "outcome",
    "queue",
    "agent",
    "started_at",
    "answered_at",
    "ended_at",
    "wait",
    "talk",
    "hold",
    "wrap_up",
    "disposition",
    "note",
    "asterisk_ids",
    "last_seq",
    "revision",
    "updated_at",
]
VISIT_FIELDS = ["queue", "demand", "entered_at", "left_at", "outcome", "wait", "offers", "agent"]
SEGMENT_FIELDS = [
    "kind",
    "agent",
    "queue",
    "endpoint",
    "attempt",
    "offered_at",
    "connected_at",
    "ended_at",
    "ring",
    "talk",
    "hold",
    "wrap_up",
    "outcome",
    "end_reason",
    "cause",
]


def write(tenant_id: str, histories: Sequence[fold.History]) -> None:
    """Make the tables say what the histories say. Needs a transaction; any error leaves it to the caller.

    Foreign keys are checked before it returns, so that a caller's savepoint catches a broken one.
    """
    found = (
        Call.all_objects.select_for_update(of=("self",))
        .select_related("disposition")
        .filter(pk__in=[history.call for history in histories])
        .order_by("pk")
    )
    present = {str(call.pk): call for call in found}
    wrap_ups = _wrap_ups(histories)
    codes = _dispositions(histories)
    made = _new(tenant_id, [history for history in histories if history.call not in present])
    written: list[Call] = []
    before = {call.pk: call.status for call in present.values()}
    for history in histories:
        call = made.get(history.call)
        if call is None:
            call = present[history.call]
            call.revision += 1
        _fill(call, history, wrap_ups.get(history.call), codes)
        written.append(call)
    # One upsert: an UPDATE of many rows by cases takes many times as long to put together.
    Call.all_objects.bulk_create(
        written, update_conflicts=True, unique_fields=["id"], update_fields=FROM_FACTS
    )
    _write_visits(histories)
    _write_segments(histories)
    events.tell(written, before)
    connection.check_constraints()


def _new(tenant_id: str, histories: Sequence[fold.History]) -> dict[str, Call]:
    """Rows by call id, with what is found once: the callers and the contacts."""
    if not histories:
        return {}
    callers = parties.read_many(tenant_id, (history.party for history in histories))
    region = contacts.region_of(tenant_id)
    numbers = {party: _number(who.number, region) for party, who in callers.items()}
    matches = contacts.of_callers(numbers.values())
    made = {}
    for history in histories:
        who, number = callers.get(history.party), numbers.get(history.party, "")
        contact = next(iter(matches.get(number, ())), None)
        made[history.call] = Call(
            id=uuid.UUID(history.call),
            party=uuid.UUID(history.party),
            caller_number=number,
            caller_name="" if who is None else who.name.replace("\x00", "")[:200],
            contact=contact,
            number_id=_uuid_or_none(history.number),
        )
    return made


def _number(text: str, region: str) -> str:
    """E.164 where it can be. The daemon has cleaned it; what PostgreSQL cannot hold must not park a call."""
    raw = text.replace("\x00", "")
    return phone_numbers.guess_e164(raw, region) or raw[:50]


_ENDED = {
    CallOutcome.COMPLETED: CallStatus.COMPLETED,
    CallOutcome.ABANDONED: CallStatus.ABANDONED,
    CallOutcome.DIVERTED: CallStatus.DIVERTED,
}


def status_of(history: fold.History) -> str:
    """The status that readers see, in the words of their trade."""
    if history.status is CallState.ENDED:
        return _ENDED.get(CallOutcome(history.outcome), CallStatus.FAILED).value
    return (CallStatus.ANSWERED if history.answered else CallStatus.RINGING).value


def _fill(
    call: Call, history: fold.History, wrap_up: WrapUp | None, codes: dict[str, CallDisposition]
) -> None:
    call.status, call.outcome = status_of(history), history.outcome
    call.queue_id, call.agent_id = _uuid(history.queue), _uuid(history.agent)
    call.started_at = to_datetime(history.started)
    call.answered_at, call.ended_at = _moment(history.answered), _moment(history.ended)
    call.wait, call.talk = _duration(history.wait), _duration(history.talk)
    call.hold, call.wrap_up = _duration(history.hold), _duration(history.wrap_up)
    call.asterisk_ids = fold.asterisk_ids(history)
    call.last_seq = history.last_seq
    if wrap_up is not None:
        call.disposition_id, call.note = wrap_up.disposition_id, wrap_up.note
    elif history.disposition and call.disposition_id is None:
        call.disposition = codes.get(history.disposition)


def _wrap_ups(histories: Sequence[fold.History]) -> dict[str, WrapUp]:
    """The newest wrap-up of each call by somebody who talked on it, by call id."""
    talked = {history.call: _who_talked(history) for history in histories}
    rows = WrapUp.objects.filter(call_id__in=list(talked)).order_by("finished_at")
    return {str(row.call_id): row for row in rows if str(row.user_id) in talked[str(row.call_id)]}


def _who_talked(history: fold.History) -> set[str | None]:
    return {row.agent for row in history.segments.values() if row.connected is not None}


def _dispositions(histories: Iterable[fold.History]) -> dict[str, CallDisposition]:
    """Dispositions by the codes in the facts; the reserved one is made when it is first needed."""
    codes = {history.disposition for history in histories if history.disposition}
    if not codes:
        return {}
    if WRAPUP_TIMEOUT in codes:
        CallDisposition.all_objects.get_or_create(
            code=WRAPUP_TIMEOUT,
            defaults={"name": "Wrap-up ran out of time", "category": "system", "is_active": False},
        )
    return {row.code: row for row in CallDisposition.all_objects.filter(code__in=sorted(codes))}


def _write_visits(histories: Iterable[fold.History]) -> None:
    rows = [
        QueueVisit(
            call_id=uuid.UUID(history.call),
            number=visit.number,
            queue_id=uuid.UUID(visit.queue),
            demand=visit.demand,
            entered_at=to_datetime(visit.entered),
            left_at=_moment(visit.left),
            outcome=visit.outcome,
            wait=None if visit.left is None else _duration(visit.left - visit.entered),
            offers=visit.offers,
            agent_id=_uuid(visit.agent),
        )
        for history in histories
        for visit in history.visits.values()
    ]
    QueueVisit.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["call", "number"], update_fields=VISIT_FIELDS
    )


def _write_segments(histories: Iterable[fold.History]) -> None:
    rows = [
        Segment(
            call_id=uuid.UUID(history.call),
            leg=segment.leg,
            kind=segment.kind,
            agent_id=_uuid(segment.agent),
            queue_id=_uuid(segment.queue),
            endpoint=segment.endpoint,
            attempt=segment.attempt,
            offered_at=to_datetime(segment.offered),
            connected_at=_moment(segment.connected),
            ended_at=_moment(segment.ended),
            ring=_duration(segment.ring),
            talk=_duration(segment.talk),
            hold=_duration(segment.hold),
            wrap_up=_duration(segment.wrap_up),
            outcome=segment.outcome,
            end_reason=segment.end_reason,
            cause=segment.cause,
        )
        for history in histories
        for segment in history.segments.values()
    ]
    Segment.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["call", "leg"], update_fields=SEGMENT_FIELDS
    )


def _duration(value: Duration) -> timedelta:
    return timedelta(microseconds=value)


def _moment(value: Instant | None) -> Any:
    return None if value is None else to_datetime(value)


def _uuid(text: str | None) -> uuid.UUID | None:
    """ValueError for what is no UUID: then the call is parked."""
    return None if text is None else uuid.UUID(text)


def _uuid_or_none(text: str) -> uuid.UUID | None:
    """A number that nobody knows may be spelled in any way."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
