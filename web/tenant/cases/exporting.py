"""Cases as a file: what `cases.export` writes, row by row.

An export holds the cases that its starter sees when it runs. Values of the form, some of which may be
sensitive, and the description come only with the right to see sensitive fields.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core import transfer
from web.shared.core.viewer import Viewer
from web.tenant.cases import queries
from web.tenant.cases.models import Case
from web.tenant.cases.permissions import EXPORT, VIEW_SENSITIVE

KIND = "cases.export"


def exportable(viewer: Viewer) -> QuerySet[Case]:
    """What this viewer may take out."""
    rows = queries.visible(Case.objects.all(), viewer)
    return queries.with_lists(rows).select_related("case_type", "assigned_to")


def _contact(case: Any) -> str:
    return next((str(one.contact_id) for one in case.primary_parties if one.contact_id), "")


_SENSITIVE = dict.fromkeys(("description", "custom_fields"), VIEW_SENSITIVE)
_COLUMNS: dict[str, transfer.Column] = {
    "id": "id",
    "case_number": "case_number",
    "title": "title",
    "description": "description",
    "status": "status",
    "priority": "priority",
    "case_type": transfer.related("case_type", "code"),
    "current_stage": "current_stage",
    "contact": _contact,
    "assigned_to": transfer.related("assigned_to"),
    "sla_state": lambda case: queries.sla_state(queries.clocks_of(case), timezone.now()),
    "sla_due_at": lambda case: queries.sla_due_at(queries.clocks_of(case)),
    "tags": "tags",
    "custom_fields": "custom_fields",
    **{
        name: name
        for name in (
            "confidentiality", "channel", "source_call", "reopened_count", "due_date",
            "resolved_at", "closed_at", "created_at", "updated_at",
        )
    },
}  # fmt: skip


def register() -> None:
    from web.tenant.cases.api.views import case_filters

    transfer.exporter(
        KIND,
        code=EXPORT,
        queryset=exportable,
        columns=_COLUMNS,
        filters=case_filters,
        sensitive=_SENSITIVE,
    )
