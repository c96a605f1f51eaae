"""What lies inside a task, below its address: /tasks/{task}/comments/ and so on.

A part is reached through its task: who may not see the task gets 404 for everything below it, who may not
change it gets 403. A comment is changed by who wrote it.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts.registry import Scope
from web.shared.api.filters import Filter
from web.shared.api.problems import Forbidden, NotFound
from web.shared.api.viewsets import ResourceViewSet
from web.tenant.tasks import dependencies, parts, queries
from web.tenant.tasks.api import serializers
from web.tenant.tasks.api.views import may_write
from web.tenant.tasks.models import Task, TaskChecklistItem, TaskComment, TaskDependency, TaskReminder
from web.tenant.tasks.permissions import TASKS_DELETE, TASKS_EDIT


class PartViewSet(ResourceViewSet):
    """A resource inside the task that the path names."""

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(task=self.task())

    def task(self) -> Task:
        """The task in the path; 404 when this person may not see it."""
        known: Task | None = getattr(self, "_task", None)
        if known is None:
            try:
                pk = uuid.UUID(self.kwargs["task"])
            except ValueError:
                raise NotFound() from None
            known = queries.visible(Task.objects.filter(pk=pk), self.viewer).first()
            if known is None:
                raise NotFound()
            self._task = known
        return known

    def writable(self) -> Task:
        task = self.task()
        may_write(self.viewer, task, TASKS_EDIT)
        return task

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The task is looked at before the body: who may not write here learns nothing of bodies."""
        self.writable()
        return super().create(request, *args, **kwargs)

    def perform_destroy(self, row: Any) -> None:
        self.writable()
        parts.part_delete(actor=self.actor, part=row)


class CommentViewSet(PartViewSet):
    """What people say about a task."""

    queryset = TaskComment.objects.all()
    serializer_class = serializers.TaskCommentBody
    filters = {
        "is_internal": Filter("is_internal", schema={"type": "boolean"}),
        "created_by": Filter("created_by"),
    }

    def perform_create(self, values: dict[str, Any]) -> TaskComment:
        return parts.comment_add(actor=self.actor, task=self.writable(), values=values)

    def perform_update(self, row: TaskComment, values: dict[str, Any]) -> TaskComment:
        if row.created_by_id != self.viewer.user_id:
            raise Forbidden("A comment is changed by who wrote it.")
        return parts.comment_update(actor=self.actor, comment=row, values=values)

    def perform_destroy(self, row: TaskComment) -> None:
        if row.created_by_id != self.viewer.user_id and self.viewer.scope(TASKS_DELETE) is not Scope.ALL:
            raise Forbidden(permission=TASKS_DELETE)
        parts.part_delete(actor=self.actor, part=row)


class DependencyViewSet(PartViewSet):
    """What a task waits for. To change what kind of waiting it is, remove it and add another."""

    queryset = TaskDependency.objects.all()
    serializer_class = serializers.TaskDependencyBody
    http_method_names = ["get", "post", "delete", "head", "options"]

    def perform_create(self, values: dict[str, Any]) -> TaskDependency:
        return dependencies.dependency_add(actor=self.actor, task=self.writable(), values=values)


class ReminderViewSet(PartViewSet):
    """When somebody is reminded of a task."""

    queryset = TaskReminder.objects.all()
    serializer_class = serializers.TaskReminderBody
    sort_fields = {"created_at": "created_at", "remind_at": "remind_at"}

    def perform_create(self, values: dict[str, Any]) -> TaskReminder:
        return parts.reminder_add(actor=self.actor, task=self.writable(), values=values)

    def perform_update(self, row: TaskReminder, values: dict[str, Any]) -> TaskReminder:
        self.writable()
        return parts.reminder_update(actor=self.actor, reminder=row, values=values)


class ChecklistViewSet(PartViewSet):
    """Small steps of a task."""

    queryset = TaskChecklistItem.objects.all()
    serializer_class = serializers.TaskChecklistBody
    sort_fields = {"position": "position", "created_at": "created_at"}
    default_sort = "position"

    def perform_create(self, values: dict[str, Any]) -> TaskChecklistItem:
        return parts.item_add(actor=self.actor, task=self.writable(), values=values)

    def perform_update(self, row: TaskChecklistItem, values: dict[str, Any]) -> TaskChecklistItem:
        self.writable()
        return parts.item_update(actor=self.actor, item=row, values=values)
