"""What an organisation decides about its cases: forms, calendars, SLA policies; and people's saved views."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from web.shared.api.problems import Conflict, Forbidden
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.cases import forms, people
from web.tenant.cases.choices import StepKind
from web.tenant.cases.models import BusinessCalendar, Case, CaseTypeForm, SavedView, SlaPolicy, SlaRefold
from web.tenant.cases.models.sla import MAX_STEPS
from web.tenant.cases.permissions import CONFIGURE
from web.tenant.cases.problems import refused


def form_publish(*, actor: Actor, case_type: Any, schema: Any) -> CaseTypeForm:
    """The next version of a type's form. Cases keep the version they have."""
    forms.check_schema(schema)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 0))",
                [f".case_form.{case_type.pk}"],
            )
        last = CaseTypeForm.all_objects.filter(case_type=case_type).order_by("-version").first()
        version = 1 if last is None else last.version + 1
        values = {"case_type": case_type, "schema": schema, "version": version}
        return base.create(CaseTypeForm, actor=actor, values=values)


def form_withdraw(*, actor: Actor, form: CaseTypeForm) -> None:
    """Take a version back; new cases use the one before. Conflict when a case is pinned to it."""
    if Case.all_objects.filter(form=form).exists():
        raise Conflict("Cases were written under this version.")
    base.soft_delete(form, actor=actor)


def calendar_create(*, actor: Actor, values: Mapping[str, Any]) -> BusinessCalendar:
    return base.create(BusinessCalendar, actor=actor, values=values)


def calendar_update(
    *, actor: Actor, calendar: BusinessCalendar, values: Mapping[str, Any]
) -> BusinessCalendar:
    """Change opening hours; every clock that runs by them is reckoned anew."""
    with transaction.atomic():
        row = base.update(calendar, actor=actor, values=values)
        refold_ask()
    return row


def calendar_delete(*, actor: Actor, calendar: BusinessCalendar) -> None:
    if SlaPolicy.objects.filter(calendar=calendar).exists():
        raise Conflict("An SLA policy uses this calendar.")
    base.soft_delete(calendar, actor=actor)


def policy_create(*, actor: Actor, values: Mapping[str, Any]) -> SlaPolicy:
    _check_policy(SlaPolicy(**values))
    with transaction.atomic():
        row = base.create(SlaPolicy, actor=actor, values=values)
        refold_ask()
    return row


def policy_update(*, actor: Actor, policy: SlaPolicy, values: Mapping[str, Any]) -> SlaPolicy:
    present = {name: getattr(policy, name) for name in ("calendar", "business_time", "escalations")}
    targets = {
        f"{one}_minutes": policy.minutes_of(one) for one in ("first_response", "next_response", "resolution")
    }
    _check_policy(SlaPolicy(**{**present, **targets, **values}))
    with transaction.atomic():
        row = base.update(policy, actor=actor, values=values)
        refold_ask()
    return row


def policy_delete(*, actor: Actor, policy: SlaPolicy) -> None:
    with transaction.atomic():
        base.soft_delete(policy, actor=actor)
        refold_ask()


def refold_ask() -> None:
    """Have every unfinished case's clocks reckoned anew, soon and in portions."""
    SlaRefold.objects.all().delete()
    SlaRefold.objects.create(asked_at=timezone.now())


def _check_policy(policy: SlaPolicy) -> None:
    if not any(policy.minutes_of(kind) for kind in ("first_response", "next_response", "resolution")):
        raise base.refuse(resolution_minutes="A policy has at least one target.")
    if policy.business_time and policy.calendar is None:
        raise base.refuse(calendar="Business time needs a calendar.")
    if not isinstance(policy.escalations, list) or len(policy.escalations) > MAX_STEPS:
        raise base.refuse(escalations=f"A list of at most {MAX_STEPS} steps.")
    for place, step in enumerate(policy.escalations):
        _check_step(step, f"/escalations/{place}")


def _check_step(step: Any, pointer: str) -> None:
    """{"at": "warning" | "breach", "after_minutes": 0, "do": "notify", "user": id}"""
    known = {"at", "after_minutes", "do", "user"}
    if not isinstance(step, dict) or set(step) - known or step.get("at") not in ("warning", "breach"):
        raise refused(
            pointer, "invalid", 'A step is {"at": "warning" or "breach", "after_minutes", "do", "user"}.'
        )
    after = step.get("after_minutes", 0)
    if type(after) is not int or not 0 <= after <= 60 * 24 * 30:
        raise refused(f"{pointer}/after_minutes", "invalid", "0 to 43200 minutes.")
    if step.get("do") not in StepKind.values:
        raise refused(f"{pointer}/do", "invalid", f"One of: {', '.join(StepKind.values)}.")
    if step["do"] == StepKind.RAISE_PRIORITY:
        return
    try:
        user = uuid.UUID(str(step.get("user")))
    except ValueError:
        raise refused(f"{pointer}/user", "required", "Who is told, or given the case.") from None
    people.worker(user, f"{pointer}/user")


def view_create(*, actor: Actor, viewer: Any, values: Mapping[str, Any]) -> SavedView:
    _may_share(viewer, values)
    return base.create(SavedView, actor=actor, values={**values, "owner_id": actor.user_id})


def view_update(*, actor: Actor, viewer: Any, view: SavedView, values: Mapping[str, Any]) -> SavedView:
    """One's own, or a shared one for whoever may configure."""
    _may_change(viewer, view)
    _may_share(viewer, values)
    return base.update(view, actor=actor, values=values)


def view_delete(*, actor: Actor, viewer: Any, view: SavedView) -> None:
    _may_change(viewer, view)
    base.soft_delete(view, actor=actor)


def _may_change(viewer: Any, view: SavedView) -> None:
    if view.owner_id != viewer.user_id and not viewer.may(CONFIGURE):
        raise Forbidden("Only its owner may change this view.", permission=CONFIGURE)


def _may_share(viewer: Any, values: Mapping[str, Any]) -> None:
    if values.get("is_shared") and not viewer.may(CONFIGURE):
        raise ValidationError(
            {"is_shared": [ValidationError(f"Sharing needs {CONFIGURE}.", code="forbidden")]}
        )
