"""Who works on a case. An assignment is a lease: it ends unless the assignee shows that they took it up.

Given to somebody by somebody else, a case waits for an acknowledgement, or for anything the assignee does to
it, until `lease_expires_at`; then the sweep takes it back to the pool and says so. Who takes a case for
themselves has taken it up.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.api.problems import Conflict
from web.shared.core import events
from web.shared.core.actor import Actor, system
from web.tenant.cases import people
from web.tenant.cases.choices import DONE
from web.tenant.cases.events import ASSIGNED, LEASE_EXPIRED
from web.tenant.cases.models import Case
from web.tenant.cases.services.changing import change, locked, refuse_merged, takes_up

LEASE_MINUTES = 60
MIN_LEASE, MAX_LEASE = 5, 7 * 24 * 60
BATCH = 200


def case_assign(
    *,
    actor: Actor,
    case: Case,
    user_id: uuid.UUID | None,
    lease_minutes: int = LEASE_MINUTES,
    reason: str = "",
    pointer: str = "/assigned_to",
) -> Case:
    """Give the case to a member who may see cases, or with None back to the pool."""
    user = None if user_id is None else people.worker(user_id, pointer)
    with transaction.atomic():
        row = locked(case.pk)
        refuse_merged(row)
        return give(actor=actor, case=row, user=user, lease_minutes=lease_minutes, reason=reason)


def give(
    *, actor: Actor, case: Case, user: Any, lease_minutes: int = LEASE_MINUTES, reason: str = ""
) -> Case:
    """The same with the case locked and the person checked. Nothing happens when they have it already."""
    was = case.assigned_to_id
    if (None if user is None else user.pk) == was:
        return case
    now = timezone.now()
    taken = user is not None and user.pk == actor.user_id
    waits = user is not None and not taken and case.status not in DONE
    values = {
        "assigned_to": user,
        "assigned_at": None if user is None else now,
        "acknowledged_at": now if taken else None,
        "lease_expires_at": now + timedelta(minutes=lease_minutes) if waits else None,
    }
    change(actor=actor, case=case, values=values, reason=reason)
    data = {"assigned_to": None if user is None else str(user.pk), "was": was and str(was)}
    events.emit(ASSIGNED, obj=case, actor=actor, data=data)
    return case


def case_acknowledge(*, actor: Actor, case: Case) -> Case:
    """The assignee takes the case up; Conflict for anybody else. Doing it twice is no error."""
    with transaction.atomic():
        row = locked(case.pk)
        refuse_merged(row)
        if row.assigned_to_id is None or row.assigned_to_id != actor.user_id:
            raise Conflict("Only who the case is assigned to can acknowledge it.")
        if takes_up(actor, row):
            change(actor=actor, case=row, values={})
        return row


def leases_due(now: datetime) -> QuerySet[Case]:
    """Cases whose lease has ended."""
    return Case.objects.filter(lease_expires_at__lte=now).order_by("lease_expires_at")


def leases_expire(now: datetime | None = None) -> int:
    """Take back every case whose lease has ended; returns how many. Safe to run twice at once."""
    due, count = leases_due(now or timezone.now()), 0
    for pk in list(due.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            found = due.select_for_update(of=("self",), skip_locked=True).filter(pk=pk).first()
            if found is None:
                continue
            was, actor = found.assigned_to_id, system("cases")
            give(actor=actor, case=found, user=None, reason="lease_expired")
            events.emit(LEASE_EXPIRED, obj=found, actor=actor, data={"was": was and str(was)})
            count += 1
    return count
