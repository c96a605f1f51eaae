"""Tasks as a file: what `tasks.export` writes, row by row: the tasks that its starter sees when it runs."""

from __future__ import annotations

from django.db.models import QuerySet

from web.shared.core import transfer
from web.shared.core.viewer import Viewer
from web.tenant.tasks import queries
from web.tenant.tasks.models import Task
from web.tenant.tasks.permissions import TASKS_EXPORT

KIND = "tasks.export"


def exportable(viewer: Viewer) -> QuerySet[Task]:
    """What this viewer may take out."""
    return queries.visible(Task.objects.all(), viewer).select_related("assigned_to", "completed_by")


_COLUMNS: dict[str, transfer.Column] = {
    "id": "id",
    "title": "title",
    "description": "description",
    "status": "status",
    "priority": "priority",
    "assigned_to": transfer.related("assigned_to"),
    "completed_by": transfer.related("completed_by"),
    "case": "case_id",
    "contact": "contact_id",
    "series": "series_id",
    "is_overdue": queries.is_overdue,
    **{name: name for name in ("due_date", "started_at", "completed_at", "created_at", "updated_at")},
}


def register() -> None:
    from web.tenant.tasks.api.views import TaskViewSet

    transfer.exporter(
        KIND, code=TASKS_EXPORT, queryset=exportable, columns=_COLUMNS, filters=TaskViewSet.filters
    )
