"""Tasks over REST: the tasks themselves, and many at once."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts.registry import Scope
from web.shared.api.filters import Filter
from web.shared.api.problems import FieldError, Forbidden, Invalid
from web.shared.api.viewsets import ApiView, ResourceViewSet
from web.shared.core.api.transfer_views import ExportView
from web.shared.core.viewer import Viewer
from web.tenant.tasks import exporting, queries, services
from web.tenant.tasks.api.fields import MISSING
from web.tenant.tasks.api.serializers import (
    TaskBody,
    TaskBulkAnswer,
    TaskBulkAssignBody,
    TaskBulkCompleteBody,
)
from web.tenant.tasks.models import Task
from web.tenant.tasks.permissions import TASKS_ASSIGN, TASKS_DELETE, TASKS_EDIT

_INSTANT = {"type": "string", "format": "date-time"}
_FLAG = {"type": "boolean"}


class TaskViewSet(ResourceViewSet):
    """What people have to do."""

    queryset = Task.objects.all()
    serializer_class = TaskBody
    filters = {
        "q": Filter(apply=queries.search),
        "status": Filter("status", many=True),
        "priority": Filter("priority", many=True),
        "assigned_to": Filter("assigned_to", null=True),
        "created_by": Filter("created_by"),
        "case": Filter(apply=queries.of_case_named, schema={"type": "string", "format": "uuid"}),
        "contact": Filter("contact"),
        "series": Filter("series"),
        "entity_type": Filter("entity_type"),
        "entity_id": Filter("entity_id"),
        "is_overdue": Filter(apply=queries.overdue, schema=_FLAG),
        "is_open": Filter(apply=queries.is_open, schema=_FLAG),
        "due_date": Filter("due_date", ranges=True, null=True, schema=_INSTANT),
        "created_at": Filter("created_at", ranges=True, schema=_INSTANT),
        "updated_at": Filter("updated_at", ranges=True, schema=_INSTANT),
    }
    sort_fields = {"created_at": "created_at", "updated_at": "updated_at", "due_date": "due_date"}

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queries.visible(queryset, self.viewer)

    def perform_create(self, values: dict[str, Any]) -> Task:
        may_give(self.viewer, values.get("assigned_to"))
        return services.task_create(actor=self.actor, values=values)

    def perform_update(self, row: Task, values: dict[str, Any]) -> Task:
        may_write(self.viewer, row, TASKS_EDIT)
        if "assigned_to" in values and values["assigned_to"] != row.assigned_to:
            may_give(self.viewer, values["assigned_to"])
        return services.task_update(actor=self.actor, task=row, values=values)

    def perform_destroy(self, row: Task) -> None:
        may_write(self.viewer, row, TASKS_DELETE)
        services.task_delete(actor=self.actor, task=row)


class TaskExport(ExportView):
    """Write the tasks that the filters leave into a file, as a job."""

    kind = exporting.KIND


def may_write(viewer: Viewer, task: Task, code: str) -> None:
    """Seeing reaches further than writing for some roles; raises Forbidden naming the code."""
    if viewer.scope(code) is Scope.ALL:
        return
    if not queries.visible(Task.objects.filter(pk=task.pk), viewer, code).exists():
        raise Forbidden(permission=code)


def may_give(viewer: Viewer, user: Any) -> None:
    """Everybody may take a task or leave it to nobody; giving it to another person needs a code."""
    if user is not None and user.pk != viewer.user_id and not viewer.may(TASKS_ASSIGN):
        raise Forbidden(permission=TASKS_ASSIGN)


class BulkView(ApiView):
    """All or none: the first id that is unknown, hidden or refused is named by its place."""

    def tasks(self, ids: list[uuid.UUID], code: str) -> list[Task]:
        found = {
            task.pk: task
            for task in queries.visible(queries.visible(Task.objects.filter(pk__in=ids), self.viewer),
                                        self.viewer, code)
        }  # fmt: skip
        missing = [index for index, pk in enumerate(ids) if pk not in found]
        if missing:
            raise Invalid(errors=[FieldError(f"/ids/{n}", "does_not_exist", MISSING) for n in missing])
        return list(found.values())


class BulkAssignView(BulkView):
    @extend_schema(request=TaskBulkAssignBody, responses=TaskBulkAnswer)
    def post(self, request: Request) -> Response:
        """Give up to 200 tasks to one person, or to nobody."""
        body = TaskBulkAssignBody(data=request.data, context={"view": self})
        body.is_valid(raise_exception=True)
        values = body.validated_data
        with transaction.atomic():
            tasks = self.tasks(values["ids"], TASKS_EDIT)
            services.tasks_assign(actor=self.actor, tasks=tasks, user=values["assigned_to"])
        return Response({"changed": len(tasks)})


class BulkCompleteView(BulkView):
    @extend_schema(request=TaskBulkCompleteBody, responses=TaskBulkAnswer)
    def post(self, request: Request) -> Response:
        """Finish up to 200 tasks, those first for which others of them wait."""
        body = TaskBulkCompleteBody(data=request.data, context={"view": self})
        body.is_valid(raise_exception=True)
        ids = body.validated_data["ids"]
        try:
            with transaction.atomic():
                tasks = self.tasks(ids, TASKS_EDIT)
                services.tasks_complete(actor=self.actor, tasks=tasks)
        except services.BulkRefused as refused:
            errors = [
                FieldError(f"/ids/{index}", one.code or "invalid", " ".join(one.messages))
                for index, pk in enumerate(ids)
                if pk in refused.reasons
                for one in refused.reasons[pk].error_dict["status"]
            ]
            raise Invalid(errors=errors) from None
        return Response({"changed": len(tasks)})
