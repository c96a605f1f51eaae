"""Instances: started, moved, approved, migrated.

Every change locks the instance's row first, so of two people who move it at once one is first and the other
finds it elsewhere (Conflict). A step writes the new stage, a numbered history row, the event and the actions
to do, in one transaction. The definition asked is always that of the version the instance pins.

`Mover` says who: a person with their permissions, or the system, which no permission stops but every guard,
required field and approval does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from telephony.contract import conditions
from web.shared.api.problems import Conflict, FieldError, Forbidden, Invalid
from web.shared.core import audit, entities, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.viewer import Viewer, everything
from web.tenant.workflows import definition as definitions
from web.tenant.workflows import outbox
from web.tenant.workflows.choices import ApprovalStatus, StepKind, WorkflowStatus
from web.tenant.workflows.definition import Definition
from web.tenant.workflows.models import (
    ApprovalRequest,
    ApprovalVote,
    Workflow,
    WorkflowInstance,
    WorkflowTransition,
    WorkflowVersion,
)

APPROVE = "workflows.approve"
SELF_APPROVE = "workflows.self_approve"


@dataclass(frozen=True, slots=True)
class Mover:
    """`viewer`: None for the system. `role`: the name of the person's role here."""

    actor: Actor
    viewer: Viewer | None = None
    role: str = ""

    def need(self, code: str | None) -> None:
        if code and self.viewer is not None and not self.viewer.may(code):
            raise Forbidden(permission=code)


# --- beginning and ending -----------------------------------------------------------------------------------


def instance_start(
    *,
    mover: Mover,
    workflow: Workflow,
    entity_id: uuid.UUID,
    data: Mapping[str, Any] | None = None,
) -> WorkflowInstance:
    """Begin the newest version of `workflow` on an entity of its type, which the caller has looked up.

    Conflict when the workflow starts no more, or one is running there already.
    """
    with transaction.atomic():
        # Nobody retires or publishes it meanwhile; many may start at once.
        locked = Workflow.objects.select_for_update(of=("self",), no_key=True).get(pk=workflow.pk)
        if locked.status != WorkflowStatus.PUBLISHED or not locked.is_active:
            raise Conflict("This workflow cannot be started: it is a draft, retired, or switched off.")
        version = locked.versions.get(number=locked.version)
        running = {"workflow": locked, "entity_type": locked.entity_type, "entity_id": entity_id}
        if WorkflowInstance.objects.filter(completed_at=None, **running).exists():
            raise Conflict("This workflow is running there already.")
        chart = definitions.definition_of(version)
        values = {**running, "version": version, "current_stage": chart.initial, "data": dict(data or {})}
        try:
            with transaction.atomic():
                instance = base.create(WorkflowInstance, actor=mover.actor, values=values)
        except IntegrityError:
            raise Conflict("This workflow is running there already.") from None
        _step(instance, chart, StepKind.START, mover.actor, to=chart.initial)
    return instance


def instance_cancel(*, mover: Mover, instance: WorkflowInstance, reason: str = "") -> WorkflowInstance:
    """End it where it is. What it did stays done."""
    with transaction.atomic():
        locked = _locked(instance)
        _refuse_completed(locked)
        _withdraw_pending(locked)
        chart = definitions.definition_of(locked.version)
        _step(locked, chart, StepKind.CANCELLED, mover.actor, to=locked.current_stage, reason=reason)
    return locked


def data_update(*, actor: Actor, instance: WorkflowInstance, values: Mapping[str, Any]) -> WorkflowInstance:
    """Replace the instance's own data."""
    with transaction.atomic():
        return base.update(_locked(instance), actor=actor, values=values)


def end_for(gone: Iterable[tuple[str, uuid.UUID]], actor: Actor) -> int:
    """Cancel what runs on entities that are no more; returns how many were ended."""
    count = 0
    for entity_type, entity_id in gone:
        found = WorkflowInstance.objects.filter(
            entity_type=entity_type, entity_id=entity_id, completed_at=None
        )
        for instance in found:
            instance_cancel(mover=Mover(actor), instance=instance)
            count += 1
    return count


# --- moving -------------------------------------------------------------------------------------------------


def instance_move(
    *,
    mover: Mover,
    instance: WorkflowInstance,
    transition: str,
    reason: str = "",
    from_stage: str = "",
    kind: StepKind = StepKind.TRANSITION,
) -> tuple[WorkflowInstance, ApprovalRequest | None]:
    """Take a transition, or ask for its approval. Returns the instance and the request that now waits.

    Conflict: it is in another stage (or not in `from_stage`), waits already, is over, or the guard says no.
    Forbidden: permission or role is missing. Invalid: required fields are empty, or the reason is.
    """
    with transaction.atomic():
        locked = _locked(instance)
        chart = definitions.definition_of(locked.version)
        _refuse_cancelled(locked, chart)
        if from_stage and from_stage != locked.current_stage:
            raise Conflict("It is in another stage by now.", current_stage=locked.current_stage)
        if locked.approvals.filter(status=ApprovalStatus.PENDING).exists():
            raise Conflict("A transition waits for approval. Approve, reject or withdraw it first.")
        wanted = _possible(locked, chart, transition)
        _allowed(mover, wanted)
        if wanted.get("reason_required") and not reason.strip():
            raise Invalid(errors=[FieldError("/reason", "required", "This transition needs a reason.")])
        guard = _passes(locked, wanted, mover)
        if "approval" in wanted:
            return locked, _ask(locked, wanted, mover.actor, reason)
        _step(locked, chart, kind, mover.actor, to=wanted["to"], name=transition, reason=reason, guard=guard)
    return locked, None


def instance_approve(
    *, mover: Mover, instance: WorkflowInstance, comment: str = ""
) -> tuple[WorkflowInstance, ApprovalRequest]:
    """Approve what waits; with the last approval the transition is taken, if its guard still holds.

    Forbidden for who asked (unless they may approve their own), and for who lacks the permission.
    """
    with transaction.atomic():
        locked = _locked(instance)
        request = _waiting(locked)
        chart = definitions.definition_of(locked.version)
        wanted = chart.by_transition[request.transition]
        mover.need(wanted["approval"].get("permission") or APPROVE)
        if request.requested_by is not None and request.requested_by == mover.actor.user_id:
            mover.need(SELF_APPROVE)
        _vote(request, mover.actor, approved=True, comment=comment)
        if request.votes.filter(approved=True).count() < request.needed:
            return locked, request
        # Whether the fields and the guard still allow it; who may ask was looked at when it was asked.
        guard = _passes(locked, wanted, mover)
        _decide(request, ApprovalStatus.APPROVED)
        _told(locked, "workflow.approved", mover.actor, transition=request.transition)
        _step(
            locked,
            chart,
            StepKind.TRANSITION,
            mover.actor,
            to=wanted["to"],
            name=request.transition,
            reason=request.reason,
            guard=guard,
            approval=request,
        )
    return locked, request


def instance_reject(
    *, mover: Mover, instance: WorkflowInstance, comment: str = ""
) -> tuple[WorkflowInstance, ApprovalRequest]:
    """Refuse what waits; who asked withdraws it by the same way. The instance stays where it is."""
    with transaction.atomic():
        locked = _locked(instance)
        request = _waiting(locked)
        wanted = definitions.definition_of(locked.version).by_transition[request.transition]
        own = request.requested_by is not None and request.requested_by == mover.actor.user_id
        if not own:
            mover.need(wanted["approval"].get("permission") or APPROVE)
            _vote(request, mover.actor, approved=False, comment=comment)
        _decide(request, ApprovalStatus.WITHDRAWN if own else ApprovalStatus.REJECTED)
        _told(locked, "workflow.rejected", mover.actor, transition=request.transition)
        # The lock's holder shows a new ETag: what may happen next has changed.
        locked.save(update_fields=["updated_by"])
    return locked, request


def instance_migrate(
    *,
    mover: Mover,
    instance: WorkflowInstance,
    version: WorkflowVersion,
    stage_map: Mapping[str, str],
) -> WorkflowInstance:
    """Run on another version. `stage_map` says which stage takes the place of the present one, if its name
    is not there any more. What waited for approval is withdrawn."""
    with transaction.atomic():
        locked = _locked(instance)
        _refuse_completed(locked)
        if version.workflow_id != locked.workflow_id:
            raise ValidationError({"version": [ValidationError("No such version.", code="does_not_exist")]})
        if version.pk == locked.version_id:
            raise Conflict("It runs on this version already.")
        chart = definitions.definition_of(version)
        stage = stage_map.get(locked.current_stage, locked.current_stage)
        if stage not in chart.by_stage:
            text = f"Say which stage takes the place of this one: {', '.join(chart.by_stage)}."
            raise Invalid(errors=[FieldError("/stage_map", "unknown_stage", text)])
        _withdraw_pending(locked)
        locked.version = version
        _step(locked, chart, StepKind.MIGRATION, mover.actor, to=stage)
        _told(locked, "workflow.migrated", mover.actor, version=version.number)
    return locked


def available(mover: Mover, instance: WorkflowInstance) -> list[dict[str, Any]]:
    """What may be done from here: {name, label, to, allowed, reasons, approval, reason_required} each."""
    chart = definitions.definition_of(instance.version)
    waits = instance.approvals.filter(status=ApprovalStatus.PENDING).exists()
    cancelled = instance.completed_at is not None and not chart.is_final(instance.current_stage)
    facts = None if cancelled else _facts(instance, mover)
    found = []
    for one in [] if cancelled else chart.leaving(instance.current_stage):
        reasons = [*_obstacles(mover, one, facts), *(["waiting_for_approval"] if waits else [])]
        found.append(
            {
                "name": one["name"],
                "label": one.get("label", ""),
                "to": one["to"],
                "allowed": not reasons,
                "reasons": reasons,
                "approvers": one.get("approval", {}).get("approvers", 0),
                "reason_required": bool(one.get("reason_required")),
            }
        )
    return found


# --- deadlines ----------------------------------------------------------------------------------------------


def report_overdue(limit: int = 100) -> int:
    """Tell of stages whose time is over, and take their way out; returns how many. Each once per stage."""
    count = 0
    while count < limit and _report_one():
        count += 1
    return count


def _report_one() -> bool:
    mover = Mover(outbox.ACTOR)
    with transaction.atomic():
        row = (
            WorkflowInstance.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("version")
            .filter(completed_at=None, overdue_at=None, stage_deadline__lte=timezone.now())
            .order_by("stage_deadline")
            .first()
        )
        if row is None:
            return False
        row.overdue_at = timezone.now()
        row.save(update_fields=["overdue_at"])
        _told(row, "workflow.overdue", mover.actor)
        way_out = definitions.definition_of(row.version).by_stage[row.current_stage].get("on_timeout")
        if way_out:
            try:
                instance_move(mover=mover, instance=row, transition=way_out, kind=StepKind.TIMEOUT)
            except (Conflict, Invalid, ValidationError, entities.UnknownEntity):
                pass  # its guard says no: it stays overdue, and people have been told
    return True


# --- the parts ----------------------------------------------------------------------------------------------


def _locked(instance: WorkflowInstance) -> WorkflowInstance:
    return base.lock(WorkflowInstance.objects.select_related("version"), pk=instance.pk)


def _refuse_completed(instance: WorkflowInstance) -> None:
    if instance.completed_at is not None:
        raise Conflict("It is over.")


def _refuse_cancelled(instance: WorkflowInstance, chart: Definition) -> None:
    """A final stage may have ways out; a cancelled instance has none."""
    if instance.completed_at is not None and not chart.is_final(instance.current_stage):
        raise Conflict("It was cancelled.")


def _possible(instance: WorkflowInstance, chart: Definition, name: str) -> Mapping[str, Any]:
    wanted = chart.by_transition.get(name)
    if wanted is None or instance.current_stage not in wanted["from"]:
        raise Conflict(
            "This transition does not begin in the stage where it is now.",
            current_stage=instance.current_stage,
            available=[one["name"] for one in chart.leaving(instance.current_stage)],
        )
    return wanted


def _allowed(mover: Mover, wanted: Mapping[str, Any]) -> None:
    mover.need(wanted.get("permission"))
    if mover.viewer is not None and "roles" in wanted and mover.role not in wanted["roles"]:
        raise Forbidden("This transition is for other roles.", roles=list(wanted["roles"]))


def _facts(instance: WorkflowInstance, mover: Mover) -> dict[str, Any]:
    """What guards may ask about. Raises entities.UnknownEntity when the entity is gone."""
    row = entities.row(instance.entity_type, instance.entity_id, everything())
    return {
        **entities.facts_of(instance.entity_type, row),
        "workflow.stage": instance.current_stage,
        "workflow.data": instance.data,
        "workflow.started_at": instance.started_at,
        "workflow.stage_entered_at": instance.stage_entered_at,
        "workflow.overdue": instance.overdue_at is not None,
        "actor.id": mover.actor.user_id,
        "actor.kind": mover.actor.kind.value,
        "actor.role": mover.role,
    }


def _missing(wanted: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name in wanted.get("required_fields", [])
        if conditions.holds({"is_empty": {"var": name}}, facts)
    ]


def _passes(instance: WorkflowInstance, wanted: Mapping[str, Any], mover: Mover) -> dict[str, Any] | None:
    """The evaluated guard for the history; raises when fields are empty or it does not hold."""
    if not wanted.get("required_fields") and not wanted.get("guard"):
        return None
    facts = _facts(instance, mover)
    missing = _missing(wanted, facts)
    if missing:
        errors = [FieldError("/transition", "missing_field", f"{name} is empty.") for name in missing]
        raise Invalid("Fields that this transition needs are empty.", errors=errors, missing=missing)
    if not wanted.get("guard"):
        return None
    tree = conditions.without_text(conditions.explain(wanted["guard"], facts, timezone.now()))
    if not tree["value"]:
        raise Conflict("The condition of this transition does not hold.", explanation=tree)
    return tree


def _obstacles(mover: Mover, one: Mapping[str, Any], facts: Mapping[str, Any] | None) -> list[str]:
    found = []
    code = one.get("permission")
    if mover.viewer is not None and code and not mover.viewer.may(code):
        found.append("permission")
    if mover.viewer is not None and "roles" in one and mover.role not in one["roles"]:
        found.append("role")
    if _missing(one, facts or {}):
        found.append("required_fields")
    if not conditions.holds(one.get("guard"), facts or {}, timezone.now()):
        found.append("guard")
    return found


def _ask(instance: WorkflowInstance, wanted: Mapping[str, Any], actor: Actor, reason: str) -> ApprovalRequest:
    request = ApprovalRequest.objects.create(
        instance=instance,
        transition=wanted["name"],
        needed=wanted["approval"]["approvers"],
        requested_by=actor.user_id,
        reason=reason,
    )
    changes = {"transition": request.transition, "request": str(request.pk)}
    audit.record(actor=actor, action="approval_request", obj=instance, changes=changes)
    _told(instance, "workflow.approval_requested", actor, transition=request.transition)
    instance.save(update_fields=["updated_by"])
    return request


def _waiting(instance: WorkflowInstance) -> ApprovalRequest:
    request = instance.approvals.filter(status=ApprovalStatus.PENDING).first()
    if request is None:
        raise Conflict("Nothing waits for approval here.")
    return request


def _vote(request: ApprovalRequest, actor: Actor, *, approved: bool, comment: str) -> None:
    if actor.user_id is None:
        raise Forbidden("Only people approve.")
    if request.votes.filter(user_id=actor.user_id).exists():
        raise Conflict("You have decided on this already.")
    ApprovalVote.objects.create(request=request, user_id=actor.user_id, approved=approved, comment=comment)
    changes = {"request": str(request.pk), "approved": approved}
    audit.record(actor=actor, action="approval_vote", obj=request.instance, changes=changes)


def _decide(request: ApprovalRequest, status: ApprovalStatus) -> None:
    request.status, request.decided_at = status, timezone.now()
    request.save(update_fields=["status", "decided_at"])


def _withdraw_pending(instance: WorkflowInstance) -> None:
    instance.approvals.filter(status=ApprovalStatus.PENDING).update(
        status=ApprovalStatus.WITHDRAWN, decided_at=timezone.now()
    )


def _told(instance: WorkflowInstance, kind: str, actor: Actor, **data: Any) -> Any:
    return events.emit(kind, obj=instance, actor=actor, data={**instance.event_data(), **data})


def _step(
    instance: WorkflowInstance,
    chart: Definition,
    kind: StepKind,
    actor: Actor,
    *,
    to: str,
    name: str = "",
    reason: str = "",
    guard: dict[str, Any] | None = None,
    approval: ApprovalRequest | None = None,
) -> WorkflowTransition:
    """Be in `to` from now on: the row, the history, the audit, the event, the actions."""
    now = timezone.now()
    left = "" if kind == StepKind.START else instance.current_stage
    _enter(instance, chart, to, now, cancelled=kind == StepKind.CANCELLED)
    instance.updated_by_id = actor.user_id
    try:
        with transaction.atomic():
            instance.save()
    except IntegrityError:
        raise Conflict("This workflow is running there again already.") from None
    step = WorkflowTransition.objects.create(
        instance=instance,
        number=instance.steps,
        kind=kind,
        version=instance.version,
        name=name,
        from_stage=left,
        to_stage=to,
        at=now,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        reason=reason,
        guard=guard,
        approval=approval,
    )
    changes = {"from": left, "to": to, "transition": name, "kind": kind.value}
    audit.record(actor=actor, action="transition", obj=instance, changes=changes)
    completed = instance.completed_at is not None
    event = _told(
        instance, "workflow.transitioned", actor, transition=name, from_stage=left, completed=completed
    )
    if kind in (StepKind.START, StepKind.TRANSITION, StepKind.TIMEOUT):
        outbox.enqueue(
            chart.actions_of(left, name, to),
            entity_type=instance.entity_type,
            entity_id=instance.entity_id,
            cause=event,
            step=step,
        )
    return step


def _enter(instance: WorkflowInstance, chart: Definition, to: str, now: Any, *, cancelled: bool) -> None:
    minutes = chart.by_stage[to].get("time_limit_minutes")
    over = cancelled or chart.is_final(to)
    instance.steps += 1
    instance.completed_at = now if over else None
    instance.stage_deadline = now + timedelta(minutes=minutes) if minutes and not over else None
    if not cancelled:
        instance.current_stage, instance.stage_entered_at, instance.overdue_at = to, now, None
