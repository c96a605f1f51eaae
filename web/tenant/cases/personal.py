"""What cases keep of a person, and how it is erased, exported, moved and held.

A case belongs to its clients: when no other client than the erased contact is left in it, its words are
emptied (title, description, notes, custom fields, tags, history). In a case that has other clients only the
contact's own part is. Times, states, ids and numbers stay, so that figures keep adding up.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from web.shared.core import erasure
from web.shared.core.actor import Actor
from web.tenant.cases.choices import PartyRole
from web.tenant.cases.models import (
    Case,
    CaseHistory,
    CaseLink,
    CaseMerge,
    CaseNote,
    CaseNoteVersion,
    CaseParty,
)

ERASED = "[erased]"
SUBJECTS = (PartyRole.CLIENT, PartyRole.REPORTER)


def register() -> None:
    erasure.eraser("cases", erase)
    erasure.exporter("cases", export)
    erasure.hold("cases", held)
    erasure.merger("cases", move, move_back)


def erase(contact_id: uuid.UUID, actor: Actor) -> int:
    """Empty what cases say about the contact; returns how many rows were emptied."""
    parties = CaseParty.all_objects.filter(contact_id=contact_id)
    cases = set(parties.values_list("case_id", flat=True))
    count = parties.update(name="", notes="", revision=_next(), updated_at=Now())
    alone = _family([pk for pk in cases if not _others(pk, contact_id)])
    count += CaseHistory.all_objects.filter(case_id__in=alone).update(
        old_value="", new_value="", change_reason=""
    )
    notes = CaseNote.all_objects.filter(case_id__in=alone)
    count += CaseNoteVersion.objects.filter(note__in=notes).update(content="")
    count += notes.update(content=ERASED, revision=_next(), updated_at=Now())
    count += CaseParty.all_objects.filter(case_id__in=alone, contact__isnull=True).update(name="", notes="")
    count += _links(alone).update(description="")
    for merge in CaseMerge.all_objects.filter(winner_id__in=alone):
        CaseMerge.all_objects.filter(pk=merge.pk).update(reason="", record={**merge.record, "tags": []})
    count += Case.all_objects.filter(pk__in=alone).update(
        title=ERASED, description="", custom_fields={}, tags=[], revision=_next(), updated_at=Now()
    )
    return count


def export(contact_id: uuid.UUID) -> list[dict[str, Any]]:
    """What the person is entitled to read: their cases with public notes; others' parts are left out."""
    parts = CaseParty.objects.filter(contact_id=contact_id).select_related("case").order_by("case_id")
    found = []
    for part in parts:
        mine = part.role in SUBJECTS and not part.case.is_deleted
        case: dict[str, Any] = {"kind": "case", "case_number": part.case.case_number, "role": part.role}
        case |= {"opened": part.case.created_at.isoformat(), "status": part.case.status}
        if mine:
            notes = CaseNote.objects.filter(case=part.case, is_internal=False).order_by("created_at")
            case |= {
                "title": part.case.title,
                "description": part.case.description,
                "custom_fields": part.case.custom_fields,
                "name": part.name,
                "notes": [{"at": one.created_at.isoformat(), "content": one.content} for one in notes],
            }
        found.append(case)
    return found


def held(contact_id: uuid.UUID) -> str | None:
    """The number of a case under legal hold in which the contact has a part, as a sentence."""
    rows = CaseParty.all_objects.filter(contact_id=contact_id, case__legal_hold=True)
    number = rows.values_list("case__case_number", flat=True).first()
    return None if number is None else f"Case {number} is under legal hold."


def move(from_id: uuid.UUID, to_id: uuid.UUID) -> dict[str, list[str]]:
    """Give the parts of one contact to another; a part that the other has already is set aside."""
    theirs = set(CaseParty.objects.filter(contact_id=to_id).values_list("case_id", "role"))
    moved: list[uuid.UUID] = []
    aside: list[uuid.UUID] = []
    for part in CaseParty.objects.filter(contact_id=from_id).order_by("pk"):
        (aside if (part.case_id, part.role) in theirs else moved).append(part.pk)
        theirs.add((part.case_id, part.role))
    CaseParty.objects.filter(pk__in=moved).update(contact_id=to_id, revision=_next())
    primary = list(CaseParty.objects.filter(pk__in=aside, is_primary=True))
    CaseParty.objects.filter(pk__in=aside).update(is_deleted=True, is_primary=False, revision=_next())
    raised = []
    for part in primary:
        row = CaseParty.objects.filter(case_id=part.case_id, contact_id=to_id, role=part.role).first()
        if row is not None:
            CaseParty.objects.filter(pk=row.pk).update(is_primary=True)
            raised.append([str(part.pk), str(row.pk)])
    return {"from": [str(from_id)], "moved": _texts(moved), "aside": _texts(aside), "raised": raised}  # type: ignore[dict-item]


def move_back(record: Any) -> None:
    """Undo `move`; parts that were changed to another contact since stay where they are."""
    CaseParty.all_objects.filter(pk__in=record["moved"]).update(
        contact_id=uuid.UUID(record["from"][0]), revision=_next()
    )
    for _, now_primary in record["raised"]:
        CaseParty.objects.filter(pk=now_primary).update(is_primary=False)
    CaseParty.all_objects.filter(pk__in=record["aside"]).update(is_deleted=False, revision=_next())
    for before, _ in record["raised"]:
        row = CaseParty.objects.filter(pk=before).first()
        if row and not CaseParty.objects.filter(case_id=row.case_id, is_primary=True).exists():
            CaseParty.objects.filter(pk=before).update(is_primary=True)


def _others(case_id: uuid.UUID, contact_id: uuid.UUID) -> bool:
    """Whether the case is about somebody else, too: another client, or the contact is no subject of it."""
    parts = CaseParty.objects.filter(case_id=case_id)
    if parts.filter(role=PartyRole.CLIENT).exclude(contact_id=contact_id).exists():
        return True
    clients = parts.filter(role=PartyRole.CLIENT, contact_id=contact_id)
    mine = clients.exists() or parts.filter(contact_id=contact_id, is_primary=True).exists()
    return not mine


def _family(cases: list[uuid.UUID]) -> list[uuid.UUID]:
    """With the cases that were merged into these: their words were about the same person."""
    from web.tenant.cases.queries import merged_into

    return [one for pk in cases for one in (pk, *merged_into(pk))]


def _links(cases: list[uuid.UUID]) -> QuerySet[CaseLink]:
    return CaseLink.all_objects.filter(from_case_id__in=cases) | CaseLink.all_objects.filter(
        to_case_id__in=cases
    )


def _next() -> Any:
    from django.db.models import F

    return F("revision") + 1


def _texts(ids: list[uuid.UUID]) -> list[str]:
    return [str(pk) for pk in ids]
