"""Tasks that come again."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts.registry import Scope
from web.shared.api.filters import Filter
from web.shared.api.problems import Forbidden
from web.shared.api.viewsets import ApiView, ResourceViewSet
from web.tenant.tasks import queries, recurrence, series
from web.tenant.tasks.api.serializers import RecurrencePreviewAnswer, RecurrencePreviewBody, TaskSeriesBody
from web.tenant.tasks.api.views import may_give
from web.tenant.tasks.models import TaskSeries
from web.tenant.tasks.models.series import check_zone
from web.tenant.tasks.permissions import TASKS_DELETE, TASKS_EDIT, TASKS_VIEW

SHOWN = 10


class SeriesViewSet(ResourceViewSet):
    """Rules by which tasks come again; the first task is made at once."""

    queryset = TaskSeries.objects.all()
    serializer_class = TaskSeriesBody
    filters = {
        "is_active": Filter("is_active", schema={"type": "boolean"}),
        "assigned_to": Filter("assigned_to", null=True),
    }

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return self.viewer.narrow(queryset, TASKS_VIEW, *queries.OWNERS)

    def perform_create(self, values: dict[str, Any]) -> TaskSeries:
        may_give(self.viewer, values.get("assigned_to"))
        values.setdefault("time_zone", own_zone(self.request))
        return series.series_create(actor=self.actor, values=values)

    def perform_update(self, row: TaskSeries, values: dict[str, Any]) -> TaskSeries:
        self._may(row, TASKS_EDIT)
        if "assigned_to" in values and values["assigned_to"] != row.assigned_to:
            may_give(self.viewer, values["assigned_to"])
        return series.series_update(actor=self.actor, series=row, values=values)

    def perform_destroy(self, row: TaskSeries) -> None:
        self._may(row, TASKS_DELETE)
        series.series_delete(actor=self.actor, series=row)

    def _may(self, row: TaskSeries, code: str) -> None:
        if self.viewer.scope(code) is Scope.ALL:
            return
        if not self.viewer.narrow(TaskSeries.objects.filter(pk=row.pk), code, *queries.OWNERS).exists():
            raise Forbidden(permission=code)


class PreviewView(ApiView):
    @extend_schema(request=RecurrencePreviewBody, responses=RecurrencePreviewAnswer)
    def post(self, request: Request) -> Response:
        """The rule in its usual spelling, and the first ten times it means."""
        body = RecurrencePreviewBody(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        zone = values.get("time_zone") or own_zone(request)
        try:
            check_zone(zone)
        except ValidationError as wrong:
            raise ValidationError({"time_zone": wrong.error_list}) from None
        given = series.checked({**values, "time_zone": zone})
        times = recurrence.first(given["recurrence"], given["starts_at"], ZoneInfo(zone), SHOWN)
        return Response({"recurrence": given["recurrence"], "occurrences": list(times)})


def own_zone(request: Any) -> str:
    """The time zone of the organisation whose host was asked."""
    return str(request._request.tenant.time_zone)
