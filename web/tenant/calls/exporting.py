"""Calls as a file: what `calls.export` writes, row by row.

An export holds the calls that its starter sees when it runs; number and name of a caller who stays unnamed
are left empty for whoever may not see them.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Case, F, QuerySet, Value, When

from web.shared.core import transfer
from web.shared.core.viewer import Viewer
from web.tenant.calls import queries
from web.tenant.calls.models import Call
from web.tenant.calls.permissions import CALLS_EXPORT

KIND = "calls.export"


def exportable(viewer: Viewer) -> QuerySet[Call]:
    """What this viewer may take out, with `shown_number` and `shown_name`."""
    rows = queries.seen_by(Call.objects.all(), viewer)
    rows = rows.select_related("queue", "agent", "disposition")
    shown = {"shown_number": F("caller_number"), "shown_name": F("caller_name")}
    if viewer.may("contacts.view_sensitive"):
        return rows.annotate(**shown)
    unnamed = When(contact__is_anonymous=True, then=Value(""))
    return rows.annotate(**{name: Case(unnamed, default=value) for name, value in shown.items()})


def _seconds(name: str) -> transfer.Column:
    return lambda call: round(getattr(call, name).total_seconds(), 3)


_COLUMNS: dict[str, transfer.Column] = {
    "id": "id",
    "direction": "direction",
    "status": "status",
    "outcome": "outcome",
    "queue": transfer.related("queue"),
    "agent": transfer.related("agent"),
    "contact": "contact_id",
    "case": "case_id",
    "caller_number": "shown_number",
    "caller_name": "shown_name",
    "started_at": "started_at",
    "answered_at": "answered_at",
    "ended_at": "ended_at",
    **{f"{name}_seconds": _seconds(name) for name in ("wait", "talk", "hold", "wrap_up")},
    "disposition": transfer.related("disposition", "code"),
    "note": "note",
}


def register() -> None:
    from web.tenant.calls.api.views import CallViewSet

    filters: Any = CallViewSet.filters
    transfer.exporter(KIND, code=CALLS_EXPORT, queryset=exportable, columns=_COLUMNS, filters=filters)
