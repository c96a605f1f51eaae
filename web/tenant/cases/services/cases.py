"""Making, changing, moving, deleting a case."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from web.shared.core import events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.cases import forms, people
from web.tenant.cases.choices import DONE, TRANSITIONS, CaseStatus, Confidentiality
from web.tenant.cases.events import TRANSITIONED
from web.tenant.cases.models import Case, CaseCounter, CaseTypeForm
from web.tenant.cases.problems import IllegalTransition, refused
from web.tenant.cases.services import assigning, parties, watching
from web.tenant.cases.services.changing import change, locked, refuse_merged


def next_number() -> str:
    """The next number of this year, `2026-000123`. The counter stays locked until the transaction ends."""
    year = timezone.now().year
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {CaseCounter._meta.db_table} AS c (year, last) VALUES (%s, 1)"  # noqa: S608
            " ON CONFLICT (year) DO UPDATE SET last = c.last + 1 RETURNING last",
            [year],
        )
        return f"{year}-{cursor.fetchone()[0]:06d}"


def case_create(
    *,
    actor: Actor,
    values: Mapping[str, Any],
    contact: uuid.UUID | None = None,
    party_values: Sequence[Mapping[str, Any]] = (),
    assigned_to: uuid.UUID | None = None,
) -> Case:
    """A case with its parties. `contact` is the client, and the primary one; ValidationError or Invalid."""
    given = dict(values)
    given["form"] = forms.newest_for(given["case_type"].pk)
    forms.check_values(given["form"], given.get("custom_fields") or {})
    assignee = None if assigned_to is None else people.worker(assigned_to, "/assigned_to")
    with transaction.atomic():
        case = base.create(Case, actor=actor, values={**given, "case_number": next_number()})
        parties.parties_of_new_case(actor=actor, case=case, contact=contact, party_values=party_values)
        if assignee is not None:
            assigning.give(actor=actor, case=case, user=assignee)
        _keep_sight(actor, case)
    return case


def case_update(
    *,
    actor: Actor,
    case: Case,
    values: Mapping[str, Any],
    contact: uuid.UUID | None = None,
    assigned_to: Any = ...,
    reason: str = "",
) -> Case:
    """Change fields; a new type pins its newest form. `assigned_to` None gives the case back to the pool."""
    with transaction.atomic():
        row = locked(case.pk)
        refuse_merged(row)
        given = _with_form(row, dict(values))
        if given:
            change(actor=actor, case=row, values=given, reason=reason)
        if contact is not None:
            parties.make_primary(actor=actor, case=row, contact=contact)
        if assigned_to is not ...:
            user = None if assigned_to is None else people.worker(assigned_to, "/assigned_to")
            assigning.give(actor=actor, case=row, user=user, reason=reason)
        _keep_sight(actor, row)
    return row


def case_transition(*, actor: Actor, case: Case, status: str, reason: str = "") -> Case:
    """Move a case to a status that may follow its own; IllegalTransition otherwise.

    A case that is reopened goes back to who had it, or to the pool when they are no longer here.
    """
    with transaction.atomic():
        row = locked(case.pk)
        refuse_merged(row)
        was = row.status
        if status not in TRANSITIONS[was]:
            raise IllegalTransition(allowed=sorted(TRANSITIONS[was]))
        reopened = was in DONE and status not in DONE
        change(actor=actor, case=row, values=_status_values(row, status, reopened), reason=reason)
        if reopened and row.assigned_to_id is not None and not people.is_member(row.assigned_to_id):
            assigning.give(actor=actor, case=row, user=None, reason=reason)
        tell_transition(actor, row, was, reopened)
    return row


def tell_transition(actor: Actor, case: Case, was: str, reopened: bool) -> None:
    """Emit case.transitioned."""
    data = {
        "status": case.status,
        "was": was,
        "reopened": reopened,
        "assigned_to": case.assigned_to_id and str(case.assigned_to_id),
    }
    events.emit(TRANSITIONED, obj=case, actor=actor, data=data)


def case_delete(*, actor: Actor, case: Case) -> Case:
    """Soft delete. Held cases stay."""
    with transaction.atomic():
        row = locked(case.pk)
        if row.legal_hold:
            raise refused("", "legal_hold", "This case is under legal hold.")
        return base.soft_delete(row, actor=actor)


def _status_values(case: Case, status: str, reopened: bool) -> dict[str, Any]:
    now = timezone.now()
    values: dict[str, Any] = {"status": status}
    if status == CaseStatus.RESOLVED:
        values["resolved_at"] = now
    if status == CaseStatus.CLOSED:
        values |= {"closed_at": now, "resolved_at": case.resolved_at or now}
    if reopened:
        values |= {"closed_at": None, "resolved_at": None, "reopened_count": case.reopened_count + 1}
    return values


def _with_form(case: Case, values: dict[str, Any]) -> dict[str, Any]:
    """Pin the form of a changed type, and check custom fields against the form that will hold."""
    form: CaseTypeForm | None = values.get("form", case.form)
    case_type = values.get("case_type", case.case_type)
    if case_type.pk != case.case_type_id and "form" not in values:
        values["form"] = form = forms.newest_for(case_type.pk)
    if "form" in values and form is not None:
        newest = forms.newest_for(case_type.pk)
        if newest is None or newest.case_type_id != form.case_type_id:
            raise refused("/form", "other_type", "This form belongs to another case type.")
    if {"form", "custom_fields"} & values.keys():
        forms.check_values(form, values.get("custom_fields", case.custom_fields))
    return values


def _keep_sight(actor: Actor, case: Case) -> None:
    """Who makes a case restricted goes on seeing it."""
    if case.confidentiality != Confidentiality.RESTRICTED or actor.user_id is None:
        return
    if case.assigned_to_id != actor.user_id:
        watching.watch(actor=actor, case=case, user_id=actor.user_id)
