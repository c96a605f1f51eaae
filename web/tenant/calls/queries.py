"""Reading calls: for screens, for sockets, for whoever must know what an agent may see.

What the sockets call (`pops_for`, `queue_names`, `agent_profile`) gives plain values, costs a fixed number of
indexed reads and runs inside `tenant_db`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Reverse
from django.utils import timezone

from telephony.contract.clock import from_datetime, to_text
from web.shared.accounts import queries as accounts
from web.shared.accounts.registry import Scope
from web.shared.core import timeline
from web.shared.core.viewer import Viewer
from web.shared.tenants.context import current_tenant_id
from web.tenant.calls.choices import ALIVE
from web.tenant.calls.models import Call, CallDisposition, CallDraft, CallQueue, NotReadyReason, Segment
from web.tenant.calls.permissions import CALLS_VIEW
from web.tenant.contacts import phone_numbers
from web.tenant.contacts import queries as contacts

RECENT = 5
WRITES_UP = timedelta(hours=1)
"""How long after a talk its caller's affairs are still in hand: to write up, and to ring back."""
LONGEST = timedelta(hours=12)
"""Older than this, a leg that never ended is one whose end was lost."""


def seen_by(queryset: QuerySet[Call], viewer: Viewer) -> QuerySet[Call]:
    """`visible_calls` for a viewer of "calls.view"; nothing without it."""
    scope = viewer.scope(CALLS_VIEW)
    if scope is None or viewer.user_id is None:
        return queryset if scope is Scope.ALL else queryset.none()
    return visible_calls(queryset, viewer.user_id, scope)


def search(queryset: QuerySet[Call], text: str) -> QuerySet[Call]:
    """Calls by the last digits of the caller's number, or by words of the contact's name."""
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) >= 4 and not re.search(r"[^\W\d_]", text):
        backwards = digits.lstrip("0")[-phone_numbers.SUFFIX_DIGITS :][::-1]
        return queryset.annotate(backwards=Reverse("caller_number")).filter(backwards__startswith=backwards)
    return queryset.filter(contact__in=contacts.matching(text).values("pk"))


def timeline_of(field: str) -> timeline.Provider:
    """The calls of a case or of a contact, as its timeline shows them."""

    def entries(
        pk: uuid.UUID, viewer: Viewer, before: tuple[datetime, str] | None, limit: int
    ) -> list[timeline.Entry]:
        calls = seen_by(Call.objects.filter(**{field: pk}), viewer)
        if before is not None:
            calls = calls.filter(Q(started_at__lt=before[0]) | Q(started_at=before[0], pk__lt=before[1]))
        calls = calls.select_related("queue", "disposition").order_by("-started_at", "-pk")[:limit]
        return [_timeline_entry(call) for call in calls]

    return entries


def _timeline_entry(call: Call) -> timeline.Entry:
    data = {
        "direction": call.direction,
        "status": call.status,
        "queue": None if call.queue is None else call.queue.name,
        "talk_seconds": call.talk.total_seconds(),
        "disposition": None if call.disposition is None else call.disposition.code,
    }
    return timeline.Entry(at=call.started_at, kind="call", id=call.pk, actor_id=call.agent_id, data=data)


def visible_calls(queryset: QuerySet[Call], user_id: uuid.UUID, scope: Scope) -> QuerySet[Call]:
    """ALL: every call. Otherwise: calls that this person talked on or is being rung for, and the other calls
    of those calls' contacts, because who helps somebody needs to know what was said before."""
    if scope is Scope.ALL:
        return queryset
    own = Segment.objects.filter(agent=user_id).filter(Q(connected_at__isnull=False) | Q(outcome=""))
    served = Call.objects.filter(pk__in=own.values("call"), contact__isnull=False).values("contact")
    return queryset.filter(Q(pk__in=own.values("call")) | Q(contact__in=served))


def may_write_about(call_id: uuid.UUID, user_id: uuid.UUID, scope: Scope) -> bool:
    """Whether a draft of this person about this call is kept. While a call lives its rows may lag behind what
    the agent sees, so then nobody is refused: a draft is read by its writer alone."""
    ended = Call.objects.filter(pk=call_id).exclude(status__in=ALIVE)
    return not ended.exists() or visible_calls(ended, user_id, scope).exists()


def has_talked(call_id: uuid.UUID, user_id: uuid.UUID) -> bool:
    """Whether this person was connected to the caller, as far as the rows know."""
    return Segment.objects.filter(call=call_id, agent=user_id, connected_at__isnull=False).exists()


def contacts_at_hand(user_id: uuid.UUID) -> QuerySet[Any, Any]:
    """Ids of the contacts whom this person's phone rings for, who is on their line, or was until lately.

    An offer that they let pass ends with its segment. LONGEST bounds what a lost end would leave open.
    """
    now = timezone.now()
    talked = Q(connected_at__isnull=False, ended_at__gte=now - WRITES_UP)
    mine = Segment.objects.filter(agent_id=user_id, offered_at__gte=now - LONGEST)
    mine = mine.filter(Q(ended_at=None) | talked, call__contact__isnull=False)
    return mine.order_by().values("call__contact")


def draft_of(call_id: uuid.UUID, user_id: uuid.UUID) -> CallDraft | None:
    return CallDraft.objects.filter(call_id=call_id, user_id=user_id).first()


def pops_for(callers: Sequence[tuple[str, str | None]]) -> list[dict[str, Any]]:
    """What the ring cards of these callers show, in their order: {contact, matches, recent_calls} each.

    A caller is (number as the party row has it, empty when withheld; call, left out of the recent ones).
    `recent_calls`: the last five of the contact, or of the number when nobody has it. However many callers
    there are, this costs the same few queries, and two more for each number that somebody has.
    """
    # An international number reads the same everywhere.
    abroad = any(number and not number.startswith("+") for number, _ in callers)
    region = contacts.region_of(str(current_tenant_id())) if abroad else ""
    numbers = [phone_numbers.guess_e164(number, region) or number for number, _ in callers]
    found = contacts.of_callers(numbers)
    matches = [found.get(number, []) for number in numbers]
    keys = [
        (contact[0].pk if contact else None, number, call)
        for contact, number, (_, call) in zip(matches, numbers, callers, strict=True)
    ]
    return [
        {
            "contact": contacts.summary(contact[0]) if contact else None,
            "matches": len(contact),
            "recent_calls": recent,
        }
        for contact, recent in zip(matches, _recent(keys), strict=True)
    ]


_RECENT = """
SELECT wanted.place, late.id, late.started_at, queue.name, late.outcome, disposition.name
FROM unnest(%s::uuid[], %s::text[], %s::uuid[]) WITH ORDINALITY AS wanted (contact, number, but, place)
CROSS JOIN LATERAL (
    (SELECT {columns} FROM {call} AS call WHERE {living} AND call.contact_id = wanted.contact
     ORDER BY started_at DESC, id DESC LIMIT {recent})
    UNION ALL
    (SELECT {columns} FROM {call} AS call WHERE {living} AND call.caller_number = wanted.number
     AND wanted.contact IS NULL AND wanted.number <> '' ORDER BY started_at DESC, id DESC LIMIT {recent})
) AS late
LEFT JOIN {queue} AS queue ON queue.id = late.queue_id
LEFT JOIN {disposition} AS disposition ON disposition.id = late.disposition_id
ORDER BY wanted.place, late.started_at DESC, late.id DESC
"""
"""By hand: the ORM has no way to ask for the last few of each of many, and takes longer than the database."""


def _recent(callers: Sequence[tuple[Any, str, str | None]]) -> list[list[dict[str, Any]]]:
    """The last calls of each (contact's id or None, number, call to leave out), in one query."""
    statement = _RECENT.format(
        call=Call._meta.db_table,
        queue=CallQueue._meta.db_table,
        disposition=CallDisposition._meta.db_table,
        columns="id, started_at, queue_id, outcome, disposition_id",
        living="NOT call.is_deleted AND call.id IS DISTINCT FROM wanted.but",
        recent=RECENT,
    )
    found: list[list[dict[str, Any]]] = [[] for _ in callers]
    if not callers:
        return found
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(column) for column in zip(*callers, strict=True)])
        for place, pk, started, queue, outcome, disposition in cursor.fetchall():
            found[place - 1].append(
                {
                    "id": str(pk),
                    "started_at": to_text(from_datetime(started)),
                    "queue": queue,
                    "outcome": outcome or None,
                    "disposition": disposition,
                }
            )
    return found


def queue_names() -> dict[str, str]:
    """Every queue's name by its id, removed ones included: an old call may still name them."""
    return {str(pk): name for pk, name in CallQueue.all_objects.values_list("pk", "name")}


def agent_profile(user_id: str | uuid.UUID) -> dict[str, Any] | None:
    """{id, name, email, role, permissions} of an active member; None for anybody else."""
    membership = (
        accounts.people_of(str(current_tenant_id())).filter(user_id=user_id, user__is_active=True).first()
    )
    if membership is None:
        return None
    return {
        "id": str(membership.user_id),
        "name": membership.user.name or membership.user.email,
        "email": membership.user.email,
        "role": membership.role.name,
        "permissions": sorted(membership.permissions),
    }


def agent_names() -> dict[str, str]:
    """Every active member's name by user id."""
    people = accounts.people_of(str(current_tenant_id()))
    return {str(row.user_id): row.user.name or row.user.email for row in people}


def is_not_ready_reason(code: str) -> bool:
    """Whether an agent may give this reason; the empty one is always allowed."""
    return not code or NotReadyReason.objects.filter(code=code, is_active=True).exists()
