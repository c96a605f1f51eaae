"""Who is in a case, and as what. One party is primary: whom the case is about and who is called back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.cases.choices import PartyRole
from web.tenant.cases.models import Case, CaseParty
from web.tenant.cases.problems import refused
from web.tenant.cases.services.changing import locked, note_down, refuse_merged, take_up, touch

MAX_PARTIES = 200


def parties_of_new_case(
    *, actor: Actor, case: Case, contact: uuid.UUID | None, party_values: Sequence[Mapping[str, Any]]
) -> None:
    """The first parties. `contact` becomes the primary one: as client, unless it is named with a role."""
    rows = [dict(values) for values in party_values]
    if sum(bool(row.get("is_primary")) for row in rows) > 1:
        raise refused("/parties", "invalid", "Only one party can be the primary one.")
    if contact is not None:
        named = next((row for row in rows if row.get("contact_id") == contact), None)
        if named is None:
            named = {"contact_id": contact, "role": PartyRole.CLIENT}
            rows.insert(0, named)
        for row in rows:
            row["is_primary"] = row is named
    for row in rows:
        _add(actor, case, row)


def party_add(*, actor: Actor, case: Case, values: Mapping[str, Any]) -> CaseParty:
    """Somebody more in a case. The first one with a contact is primary."""
    with transaction.atomic():
        row = locked(case.pk)
        refuse_merged(row)
        if CaseParty.objects.filter(case=row).count() >= MAX_PARTIES:
            raise refused("", "too_many", f"A case has at most {MAX_PARTIES} parties.")
        made = _add(actor, row, dict(values))
        note_down(actor=actor, case=row, rows=[("parties", "", made.role)])
        take_up(actor, row)
        touch(actor, row)
    return made


def party_update(*, actor: Actor, party: CaseParty, values: Mapping[str, Any]) -> CaseParty:
    with transaction.atomic():
        case = locked(party.case_id)
        refuse_merged(case)
        row = base.lock(CaseParty.objects.all(), pk=party.pk)
        _check(values.get("contact_id", row.contact_id), values.get("name", row.name))
        if values.get("is_primary"):
            _demote(actor, case, besides=row)
        before = row.role
        base.update(row, actor=actor, values=values)
        note_down(actor=actor, case=case, rows=[("parties", before, row.role)])
        take_up(actor, case)
        touch(actor, case)
    return row


def party_remove(*, actor: Actor, party: CaseParty) -> None:
    with transaction.atomic():
        case = locked(party.case_id)
        refuse_merged(case)
        row = base.lock(CaseParty.objects.all(), pk=party.pk)
        base.soft_delete(row, actor=actor)
        note_down(actor=actor, case=case, rows=[("parties", row.role, "")])
        take_up(actor, case)
        touch(actor, case)


def make_primary(*, actor: Actor, case: Case, contact: uuid.UUID) -> CaseParty:
    """Make this contact the primary party of the locked case, as client when they are not in it yet."""
    row = CaseParty.objects.filter(case=case, contact_id=contact).order_by("created_at", "id").first()
    if row is None:
        _demote(actor, case)
        values = {"contact_id": contact, "role": PartyRole.CLIENT, "is_primary": True}
        row = _add(actor, case, values)
        note_down(actor=actor, case=case, rows=[("parties", "", row.role)])
    elif not row.is_primary:
        _demote(actor, case)
        base.update(row, actor=actor, values={"is_primary": True})
    touch(actor, case)
    return row


def _add(actor: Actor, case: Case, values: dict[str, Any]) -> CaseParty:
    contact = values.get("contact_id")
    _check(contact, values.get("name", ""))
    if values.get("is_primary"):
        _demote(actor, case)
    elif contact is not None and not _primary(case).exists():
        values["is_primary"] = True
    return base.create(CaseParty, actor=actor, values={**values, "case": case})


def _check(contact: Any, name: str) -> None:
    if contact is None and not name:
        raise refused("/contact", "required", "A contact, or at least a name.")


def _primary(case: Case) -> Any:
    return CaseParty.objects.filter(case=case, is_primary=True)


def _demote(actor: Actor, case: Case, besides: CaseParty | None = None) -> None:
    for row in _primary(case):
        if besides is None or row.pk != besides.pk:
            base.update(row, actor=actor, values={"is_primary": False})
