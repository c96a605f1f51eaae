"""What happens when time runs out: said once per clock and cycle, then the policy's steps, each once.

A step is written down before it is done, in one transaction with it; one that cannot be done (nobody left to
give the case to, no higher priority) is written down with the reason, and is not tried again.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from web.shared.api.problems import Problem
from web.shared.core import events
from web.tenant.cases import people
from web.tenant.cases.choices import PRIORITIES, ClockState, StepKind
from web.tenant.cases.events import SLA_BREACHED, SLA_ESCALATED, SLA_WARNING
from web.tenant.cases.models import Case, CaseSla, SlaEscalation
from web.tenant.cases.services.assigning import give
from web.tenant.cases.services.changing import change
from web.tenant.cases.services.sla import ACTOR, BATCH, clock_data, next_step_at, step_due_at


def tell_due(now: datetime | None = None) -> int:
    """Say each warning and breach that is due and unsaid, and take due steps; returns how many."""
    moment = now or timezone.now()
    return sum(_each(rows, moment, act) for rows, act in _due(moment))


def due_rows(now: datetime) -> list[QuerySet[CaseSla]]:
    """What `tell_due` would find."""
    return [rows for rows, _ in _due(now)]


def _due(now: datetime) -> list[tuple[QuerySet[CaseSla], Any]]:
    """What is due, in the order in which it is to be done. Evaluated when it is looked at."""
    running = CaseSla.objects.filter(state=ClockState.RUNNING)
    late = Q(state=ClockState.RUNNING, due_at__lte=now) | Q(breached_at__lte=now)
    return [
        (running.filter(warn_at__lte=now, warned_at__isnull=True), _warn),
        (CaseSla.objects.filter(late, told_at__isnull=True), _breach),
        (running.filter(next_step_at__lte=now), _steps),
    ]


def _each(rows: QuerySet[CaseSla], now: datetime, act: Any) -> int:
    """Carry out `act` on each row in a transaction of its own, the case locked first as folding does."""
    count = 0
    for pk, case_id in list(rows.order_by("due_at").values_list("pk", "case_id")[:BATCH]):
        with transaction.atomic():
            case = Case.objects.select_for_update(of=("self",)).filter(pk=case_id).first()
            row = rows.filter(pk=pk).first() if case is not None else None
            if row is not None and case is not None:
                count += act(row, case, now)
    return count


def _warn(row: CaseSla, case: Case, now: datetime) -> int:
    row.warned_at = now
    row.save(update_fields=["warned_at"])
    events.emit(SLA_WARNING, obj=case, actor=ACTOR, data=clock_data(row, case))
    _steps(row, case, now)
    return 1


def _breach(row: CaseSla, case: Case, now: datetime) -> int:
    row.told_at, row.breached_at = now, row.breached_at or row.due_at
    row.save(update_fields=["told_at", "breached_at"])
    events.emit(SLA_BREACHED, obj=case, actor=ACTOR, data=clock_data(row, case))
    _steps(row, case, now)
    return 1


def _steps(row: CaseSla, case: Case, now: datetime) -> int:
    """Take every step of the policy that is due and was not taken in this cycle; returns how many."""
    if row.policy is None or row.state != ClockState.RUNNING:
        return 0
    # What a step does folds the case later, by its events; here the row only learns what was taken.
    taken = set(SlaEscalation.objects.filter(clock=row, cycle=row.cycle).values_list("step", flat=True))
    count = 0
    for number, step in enumerate(row.policy.escalations):
        due = step_due_at(row, step)
        if due is not None and due <= now and number not in taken:
            _take(row, case, number, step, now)
            count += 1
    row.next_step_at = next_step_at(row)
    row.save(update_fields=["next_step_at"])
    return count


def _take(row: CaseSla, case: Case, number: int, step: dict[str, Any], now: datetime) -> None:
    user_id = uuid.UUID(step["user"]) if step.get("user") else None
    outcome = _do(case, step["do"], user_id)
    SlaEscalation.objects.create(
        clock=row, cycle=row.cycle, step=number, kind=step["do"], user_id=user_id, outcome=outcome, at=now
    )
    data = {**clock_data(row, case), "step": step["do"], "user": user_id and str(user_id), "outcome": outcome}
    events.emit(SLA_ESCALATED, obj=case, actor=ACTOR, data=data)


def _do(case: Case, kind: str, user_id: uuid.UUID | None) -> str:
    """Do a step; returns its outcome. Telling somebody is the event itself: notifications follow it."""
    if kind == StepKind.NOTIFY:
        return "done"
    if kind == StepKind.RAISE_PRIORITY:
        place = PRIORITIES.index(case.priority)
        if place == len(PRIORITIES) - 1:
            return "already_highest"
        change(actor=ACTOR, case=case, values={"priority": PRIORITIES[place + 1]}, reason="sla")
        return "done"
    try:
        user = people.worker(user_id, "") if user_id is not None else None
    except Problem:
        user = None
    if user is None:
        return "nobody_there"
    give(actor=ACTOR, case=case, user=user, reason="sla")
    return "done"
