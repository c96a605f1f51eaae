"""Tasks as REST shows and takes them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.api.fields import EntityId
from web.shared.api.serializers import Body, ModelBody
from web.shared.core import entities
from web.tenant.tasks import queries
from web.tenant.tasks.api.fields import MISSING, MemberField, MembersField
from web.tenant.tasks.models import (
    Task,
    TaskChecklistItem,
    TaskComment,
    TaskDependency,
    TaskReminder,
    TaskSeries,
)
from web.tenant.tasks.models.parts import MAX_MENTIONS
from web.tenant.tasks.models.series import MAX_ITEMS

MAX_BULK = 200
STAMPS = ["id", "created_at", "updated_at"]
_PERSON = "web.tenant.cases.api.serializers.PersonSummary"
EXPANDABLE = {
    "case": "web.tenant.cases.api.serializers.CaseSummary",
    "contact": "web.tenant.contacts.api.serializers.ContactSummary",
    "assigned_to": _PERSON,
    "created_by": _PERSON,
}


class TaskBody(ModelBody):
    """`entity_type` and `entity_id` together point at anything;"""

    case = EntityId("case", row=True, required=False, allow_null=True)
    contact = EntityId("contact", row=True, required=False, allow_null=True)
    assigned_to = MemberField(required=False, allow_null=True)
    series = serializers.UUIDField(source="series_id", read_only=True, allow_null=True)
    created_by = serializers.UUIDField(source="created_by_id", read_only=True, allow_null=True)
    completed_by = serializers.UUIDField(source="completed_by_id", read_only=True, allow_null=True)
    is_overdue = serializers.SerializerMethodField()
    expandable = EXPANDABLE

    class Meta:
        model = Task
        fields = [
            "id",
            "title",
            "description",
            "status",
            "priority",
            "case",
            "contact",
            "entity_type",
            "entity_id",
            "assigned_to",
            "due_date",
            "is_overdue",
            "started_at",
            "completed_at",
            "completed_by",
            "estimated_hours",
            "actual_hours",
            "series",
            "occurrence",
            "created_by",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [*STAMPS, "started_at", "completed_at", "occurrence"]

    @extend_schema_field(bool)
    def get_is_overdue(self, task: Task) -> bool:
        return queries.is_overdue(task)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A reference must lead to something that the asking person may see."""
        kind, pk = attrs.get("entity_type"), attrs.get("entity_id")
        if kind and pk:
            try:
                entities.row(kind, pk, self.context["view"].viewer)
            except entities.UnknownEntity:
                refused = serializers.ValidationError(MISSING, code="does_not_exist")
                raise serializers.ValidationError({"entity_id": refused.detail}) from None
        return attrs


class TaskCommentBody(ModelBody):
    mentions = MembersField(required=False, max_length=MAX_MENTIONS)
    created_by = serializers.UUIDField(source="created_by_id", read_only=True, allow_null=True)

    class Meta:
        model = TaskComment
        fields = ["id", "content", "is_internal", "mentions", "created_by", "created_at", "updated_at"]
        read_only_fields = STAMPS


class TaskDependencyBody(ModelBody):
    depends_on = EntityId("task", row=True)

    class Meta:
        model = TaskDependency
        fields = ["id", "depends_on", "dependency_type", "created_at", "updated_at"]
        read_only_fields = STAMPS


class TaskReminderBody(ModelBody):
    """Without `user` it goes to whoever has the task when it comes due."""

    user = MemberField(required=False, allow_null=True)

    class Meta:
        model = TaskReminder
        fields = ["id", "user", "remind_at", "told_at", "created_at", "updated_at"]
        read_only_fields = [*STAMPS, "told_at"]


class TaskChecklistBody(ModelBody):
    done_by = serializers.UUIDField(source="done_by_id", read_only=True, allow_null=True)

    class Meta:
        model = TaskChecklistItem
        fields = ["id", "text", "position", "is_done", "done_at", "done_by", "created_at", "updated_at"]
        read_only_fields = [*STAMPS, "done_at"]


class TaskSeriesBody(ModelBody):
    case = EntityId("case", row=True, required=False, allow_null=True)
    contact = EntityId("contact", row=True, required=False, allow_null=True)
    assigned_to = MemberField(required=False, allow_null=True)
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="An IANA name; the organisation's own when left out."
    )
    checklist = serializers.ListField(
        child=serializers.CharField(max_length=300), max_length=MAX_ITEMS, required=False
    )

    class Meta:
        model = TaskSeries
        fields = [
            "id",
            "title",
            "description",
            "priority",
            "assigned_to",
            "case",
            "contact",
            "estimated_hours",
            "checklist",
            "recurrence",
            "starts_at",
            "time_zone",
            "lead_hours",
            "is_active",
            "last_occurrence",
            "next_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [*STAMPS, "last_occurrence", "next_at"]


class RecurrencePreviewBody(Body):
    """A rule to look at before it is saved."""

    recurrence = serializers.CharField(max_length=200)
    starts_at = serializers.DateTimeField()
    time_zone = serializers.CharField(max_length=64, required=False)


class RecurrencePreviewAnswer(Body):
    recurrence = serializers.CharField()
    occurrences = serializers.ListField(child=serializers.DateTimeField())


class TaskBulkAssignBody(Body):
    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_BULK)
    assigned_to = MemberField(allow_null=True)


class TaskBulkCompleteBody(Body):
    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_BULK)


class TaskBulkAnswer(Body):
    changed = serializers.IntegerField()
