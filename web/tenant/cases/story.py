"""What cases tell about themselves to others: the entity, its facts for conditions, timelines.

A case's timeline is its own notes and changes and what higher apps register (calls, messages, documents,
tasks). A contact's shows in which cases they have a part.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q, QuerySet

from web.shared.core import entities, timeline
from web.shared.core.timeline import Entry
from web.shared.core.viewer import Viewer
from web.tenant.cases import forms, permissions, queries
from web.tenant.cases.choices import PRIORITIES
from web.tenant.cases.models import Case, CaseParty
from web.tenant.reference_data import queries as reference

Position = tuple[Any, str] | None


def register() -> None:
    entities.entity(
        "case",
        model="cases.Case",
        code=permissions.VIEW,
        visible=queries.visible,
        facts=facts,
        contact=lambda row: queries.contact_of(row.pk),
    )
    timeline.provider("case", "notes", notes)
    timeline.provider("case", "changes", changes)
    timeline.provider("contact", "cases", cases_of_contact)


def facts(case: Case) -> dict[str, Any]:
    """What conditions may ask about; sensitive fields of forms are not among it."""
    hidden = case.form.sensitive if case.form is not None else frozenset()
    custom = {
        f"custom_fields.{name}": value for name, value in case.custom_fields.items() if name not in hidden
    }
    codes = reference.rows("case_category").filter(pk=case.case_type_id).values_list("code", flat=True)
    return {
        "status": case.status,
        "priority": case.priority,
        "priority_level": PRIORITIES.index(case.priority) + 1,
        "case_type": str(case.case_type_id),
        "case_type_code": codes.first() or "",
        "stage": case.current_stage,
        "assigned": case.assigned_to_id is not None,
        "assigned_to": case.assigned_to_id and str(case.assigned_to_id),
        "channel": case.channel,
        "confidentiality": case.confidentiality,
        "tags": list(case.tags),
        "reopened_count": case.reopened_count,
        "due_date": case.due_date and case.due_date.isoformat(),
        "merged": case.merged_into_id is not None,
        **custom,
    }


def notes(pk: uuid.UUID, viewer: Viewer, before: Position, limit: int) -> list[Entry]:
    if not _seen(pk, viewer):
        return []
    return [
        Entry(
            row.created_at,
            "case.note",
            row.pk,
            row.created_by_id,
            {"content": row.content, "is_internal": row.is_internal, "edited": row.edited_at is not None},
        )
        for row in _page(queries.notes_of(pk), before, limit)
    ]


def changes(pk: uuid.UUID, viewer: Viewer, before: Position, limit: int) -> list[Entry]:
    """Changed fields; values of short fields alone, since texts are long and may be sensitive."""
    if not _seen(pk, viewer):
        return []
    hidden = frozenset() if viewer.may(permissions.VIEW_SENSITIVE) else forms.sensitive_names()
    found = []
    for row in _page(queries.history_of(pk), before, limit):
        data: dict[str, Any] = {"field": row.field_name, "reason": row.change_reason}
        if row.field_name.removeprefix("custom_fields.") not in hidden and row.field_name != "description":
            data |= {"old": row.old_value, "new": row.new_value}
        found.append(Entry(row.created_at, "case.change", row.pk, row.created_by_id, data))
    return found


def cases_of_contact(pk: uuid.UUID, viewer: Viewer, before: Position, limit: int) -> list[Entry]:
    rows = CaseParty.objects.filter(contact_id=pk, case__in=queries.visible(Case.objects.all(), viewer))
    return [
        Entry(
            row.created_at,
            "case",
            row.pk,
            row.created_by_id,
            {
                "case": str(row.case_id),
                "case_number": row.case.case_number,
                "title": row.case.title,
                "status": row.case.status,
                "role": row.role,
            },
        )
        for row in _page(rows.select_related("case"), before, limit)
    ]


def _seen(pk: uuid.UUID, viewer: Viewer) -> bool:
    """A case that was merged away tells its story to whoever sees the one it went into."""
    into: Any = pk
    while into is not None:
        if queries.visible(Case.all_objects.filter(pk=into), viewer).exists():
            return True
        into = Case.all_objects.filter(pk=into).values_list("merged_into_id", flat=True).first()
    return False


def _page(rows: QuerySet[Any], before: Position, limit: int) -> QuerySet[Any]:
    if before is not None:
        rows = rows.filter(Q(created_at__lt=before[0]) | Q(created_at=before[0], pk__lt=before[1]))
    return rows.order_by("-created_at", "-pk")[:limit]
