"""SLA clocks: domain events become moments, moments become clocks, clocks become warnings and breaches.

`consume` writes one moment per event and case and folds the cases it touched. `refold_some` folds again, in
portions, after a policy or calendar changed. `tell_due` finds what PostgreSQL says is due, says it once, and
takes the policy's steps. Nothing here waits in a queue: a deadline is a row.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from telephony.contract.clock import from_datetime, to_datetime
from telephony.contract.hours import ALWAYS, MINUTE
from web.shared.core import events
from web.shared.core.actor import system
from web.tenant.cases import clocks, queries
from web.tenant.cases.choices import DONE, PRIORITIES, ClockKind, ClockState, MomentKind
from web.tenant.cases.events import SLA_MET
from web.tenant.cases.models import Case, CaseMoment, CaseSla, SlaEscalation, SlaPolicy, SlaRefold
from web.tenant.reference_data import queries as reference

if TYPE_CHECKING:
    from web.shared.records.models import DomainEvent

ACTOR = system("sla")
BATCH = 200
SECOND = 1_000_000
REFOLDED_BY = {"case.created", "case.updated", "case.merged", "case.unmerged", "case.deleted"}

CONCERNING = REFOLDED_BY | {
    "case.transitioned",
    "case.note_added",
    "interaction.sent",
    "interaction.received",
}
"""What `moment_of` knows, beside everything about calls."""


# --- events → moments ---------------------------------------------------------------------------------------


def wanted(kinds: set[str]) -> set[str]:
    return {kind for kind in kinds if kind in CONCERNING or kind.startswith("call.")}


def consume(batch: list[DomainEvent]) -> None:
    """The consumer `sla`: write moments, then fold each case that anything happened to."""
    touched: set[uuid.UUID] = set()
    moments: list[CaseMoment] = []
    for event in batch:
        case_id, kind, status = moment_of(event)
        if case_id is None:
            continue
        touched.add(case_id)
        for other in (event.data.get("into"), event.data.get("out_of")):
            if event.type in REFOLDED_BY and other:
                touched.add(uuid.UUID(str(other)))
        if kind:
            row = CaseMoment(case_id=case_id, kind=kind, status=status, at=event.at, event=event.id)
            moments.append(row)
    present = set(Case.all_objects.filter(pk__in=touched).values_list("pk", flat=True))
    CaseMoment.objects.bulk_create([row for row in moments if row.case_id in present], ignore_conflicts=True)
    fold_cases(present)


def moment_of(event: DomainEvent) -> tuple[uuid.UUID | None, str, str]:
    """(case, kind of moment or "", status) of an event; (None, "", "") for one that is of no concern."""
    kind, data = event.type, event.data
    if kind == "case.transitioned":
        return event.object_id, MomentKind.STATUS, str(data.get("status", ""))
    if kind == "case.created":
        return event.object_id, MomentKind.OPENED, ""
    if kind in REFOLDED_BY:
        return event.object_id, "", ""
    if kind == "case.note_added":
        return event.object_id, "" if data.get("is_internal", True) else MomentKind.RESPONDED, ""
    case_id = _uuid(data.get("case") or data.get("case_id"))
    if case_id is None:
        return None, "", ""
    if kind == "interaction.sent":
        return case_id, MomentKind.RESPONDED, ""
    if kind == "interaction.received":
        return case_id, MomentKind.ASKED, ""
    if kind.startswith("call."):
        return case_id, MomentKind.RESPONDED if _is_answer(kind, data) else "", ""
    return None, "", ""


def _is_answer(kind: str, data: dict[str, Any]) -> bool:
    """A call that was talked on, or that was placed for the case, answers the client."""
    talked = kind == "call.answered" or data.get("outcome") in ("answered", "completed")
    placed = data.get("direction") == "outbound" and kind in ("call.ended", "call.written_up", "call.updated")
    return talked or placed


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value)) if value else None
    except ValueError:
        return None


# --- moments → clocks ---------------------------------------------------------------------------------------


def fold_cases(ids: Iterable[uuid.UUID], now: datetime | None = None) -> int:
    """Fold these cases anew; returns how many there are. Locks them, so that two folds do not cross."""
    moment = now or timezone.now()
    cases = list(Case.all_objects.select_for_update(of=("self",)).filter(pk__in=set(ids)).order_by("pk"))
    if cases:
        fitting = _Policies()
        for case in cases:
            fold_case(case, fitting, moment)
    return len(cases)


def fold_case(case: Case, fitting: _Policies, now: datetime) -> None:
    policy, terms = fitting.of(case)
    if case.is_deleted or case.merged_into_id is not None or not terms.targets:
        CaseSla.objects.filter(case=case).delete()
        return
    found = clocks.fold(_moments(case), terms, from_datetime(now))
    present = {row.kind: row for row in CaseSla.objects.filter(case=case)}
    for kind, row in present.items():
        if kind not in found:
            row.delete()
    for kind, clock in found.items():
        _write(case, policy, clock, present.get(kind))


def _moments(case: Case) -> list[clocks.Moment]:
    """The case's own moments, and the answers and questions of cases that were merged into it."""
    merged = queries.merged_into(case.pk)
    rows = CaseMoment.objects.filter(case_id__in=[case.pk, *merged])
    own = [
        clocks.Moment(from_datetime(row.at), row.kind, row.status)
        for row in rows
        if row.case_id == case.pk or row.kind in (MomentKind.RESPONDED, MomentKind.ASKED)
    ]
    if not any(one.kind == MomentKind.OPENED for one in own):
        own.append(clocks.Moment(from_datetime(case.created_at), MomentKind.OPENED))
    return own


def _write(case: Case, policy: SlaPolicy | None, clock: clocks.Clock, row: CaseSla | None) -> None:
    """Bring the row up to date. What was told of an earlier cycle does not count for this one."""
    made = row is None
    row = row or CaseSla(case=case, kind=clock.kind)
    was = None if made else row.state
    if not made and row.cycle != clock.cycle:
        row.warned_at = row.told_at = None
    due = _at(clock.due)
    if not made and row.told_at is not None and clock.breached is None:
        row.told_at = None  # a longer promise, or a pause that came late, took the breach back
    row.policy, row.state, row.cycle = policy, clock.state, clock.cycle
    row.target_seconds, row.elapsed_seconds = clock.target // SECOND, clock.elapsed // SECOND
    row.started_at, row.due_at, row.warn_at = to_datetime(clock.started), due, _at(clock.warn)
    row.paused_at, row.ended_at, row.breached_at = _at(clock.paused), _at(clock.ended), _at(clock.breached)
    row.next_step_at = None if made else next_step_at(row)
    row.save()
    if clock.state == ClockState.MET and was != ClockState.MET and clock.breached is None:
        events.emit(SLA_MET, obj=case, actor=ACTOR, data=clock_data(row, case))


def next_step_at(row: CaseSla) -> datetime | None:
    """When the next step of the row's policy that was not taken in this cycle is due; None for none."""
    if row.policy is None or (row.warned_at is None and row.told_at is None):
        return None
    taken = set(SlaEscalation.objects.filter(clock=row, cycle=row.cycle).values_list("step", flat=True))
    steps = enumerate(row.policy.escalations)
    found = [step_due_at(row, step) for number, step in steps if number not in taken]
    return min((one for one in found if one is not None), default=None)


def step_due_at(row: CaseSla, step: dict[str, Any]) -> datetime | None:
    """When this step is due, once the warning or breach it follows was told."""
    since = row.warned_at if step["at"] == "warning" else row.told_at
    return None if since is None else since + timedelta(minutes=step.get("after_minutes", 0))


def clock_data(row: CaseSla, case: Case) -> dict[str, Any]:
    """What an event about a clock carries."""
    return {
        "clock": row.kind,
        "cycle": row.cycle,
        "policy": row.policy_id and str(row.policy_id),
        "assigned_to": case.assigned_to_id and str(case.assigned_to_id),
    }


def _at(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


class _Policies:
    """Which policy fits a case: read once, asked for many. Without one the priority's own hours hold."""

    def __init__(self) -> None:
        rows = SlaPolicy.objects.filter(is_active=True).select_related("calendar")
        self.rows = {(row.priority, row.case_type_id): row for row in rows}
        self.hours = dict(reference.rows("priority").filter(is_active=True).values_list("level", "sla_hours"))
        self.paths: dict[uuid.UUID, list[uuid.UUID | None]] = {}

    def of(self, case: Case) -> tuple[SlaPolicy | None, clocks.Terms]:
        """The closest type that has a policy wins; for one type, the priority's own before the general."""
        for case_type in self._above(case.case_type_id):
            for priority in (case.priority, ""):
                policy = self.rows.get((priority, case_type))
                if policy is not None:
                    return policy, terms_of(policy)
        limit = self.hours.get(PRIORITIES.index(case.priority) + 1)
        targets = {ClockKind.RESOLUTION.value: limit * 60 * MINUTE} if limit else {}
        return None, clocks.Terms(ALWAYS, targets)

    def _above(self, case_type: uuid.UUID) -> list[uuid.UUID | None]:
        if not any(key[1] for key in self.rows):
            return [None]
        if case_type not in self.paths:
            path: list[uuid.UUID | None] = [*reference.path("case_category", case_type)[::-1], None]
            self.paths[case_type] = path
        return self.paths[case_type]


def terms_of(policy: SlaPolicy) -> clocks.Terms:
    """A policy as the fold takes it."""
    calendar = policy.calendar
    targets = {kind: minutes * MINUTE for kind in ClockKind.values if (minutes := policy.minutes_of(kind))}
    business = policy.business_time and calendar is not None
    return clocks.Terms(calendar.as_hours() if business and calendar else ALWAYS, targets)


def refolds_waiting() -> QuerySet[SlaRefold]:
    """Asked for: unfinished cases that are to be folded anew."""
    return SlaRefold.objects.all()


def refold_some(limit: int = BATCH) -> int:
    """Fold the next portion of unfinished cases when a change of policy asked for it; returns how many."""
    with transaction.atomic():
        asked = SlaRefold.objects.select_for_update(skip_locked=True).order_by("asked_at").first()
        if asked is None:
            return 0
        rows = Case.objects.exclude(status__in=DONE).order_by("pk")
        if asked.after is not None:
            rows = rows.filter(pk__gt=asked.after)
        ids = list(rows.values_list("pk", flat=True)[:limit])
        fold_cases(ids)
        if len(ids) < limit:
            asked.delete()
        else:
            asked.after = ids[-1]
            asked.save(update_fields=["after"])
        return len(ids)
