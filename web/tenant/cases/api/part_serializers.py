"""What hangs on a case, as REST shows and takes it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.api.fields import EntityId, OneOf
from web.shared.api.serializers import Body, ModelBody, page_of
from web.tenant.cases import forms, permissions
from web.tenant.cases.api.serializers import PERSON, CaseSummary
from web.tenant.cases.choices import LinkType
from web.tenant.cases.models import CaseHistory, CaseLink, CaseMerge, CaseNote, CaseNoteVersion, CaseWatcher
from web.tenant.cases.models.notes import MAX_MENTIONS
from web.tenant.cases.services.linking import type_seen_from

HIDDEN = "redacted"


class HistoryBody(ModelBody):
    """The values of a field that this viewer may not see are null, and `redacted` is true."""

    expandable = {"created_by": PERSON}
    redacted = serializers.SerializerMethodField()

    class Meta:
        model = CaseHistory
        fields = [
            "id",
            "field_name",
            "old_value",
            "new_value",
            "change_reason",
            "redacted",
            "created_by",
            "created_at",
        ]
        read_only_fields = fields

    def get_redacted(self, row: CaseHistory) -> bool:
        return row.field_name.removeprefix("custom_fields.") in self._hidden_fields() and (
            row.field_name.startswith("custom_fields.")
        )

    def to_representation(self, instance: CaseHistory) -> dict[str, Any]:
        item = super().to_representation(instance)
        if self.get_redacted(instance):
            item |= {name: None for name in ("old_value", "new_value") if name in item}
        return item

    def _hidden_fields(self) -> frozenset[str]:
        viewer = self.context.get("viewer")
        if viewer is not None and viewer.may(permissions.VIEW_SENSITIVE):
            return frozenset()
        holder: Any = self.root
        found: frozenset[str] | None = getattr(holder, "_sensitive_names", None)
        if found is None:
            found = holder._sensitive_names = forms.sensitive_names()
        return found


class LinkBody(ModelBody):
    """`case` is the other one, `link_type` what it is to this one."""

    case = EntityId("case", row=True)
    link_type = OneOf(choices=LinkType.choices)
    other = serializers.SerializerMethodField()

    class Meta:
        model = CaseLink
        fields = ["id", "case", "link_type", "description", "other", "created_by", "created_at"]
        read_only_fields = ["id", "created_by", "created_at"]

    @extend_schema_field(CaseSummary)
    def get_other(self, link: CaseLink) -> Any:
        return CaseSummary(self._other(link)).data

    def to_representation(self, instance: CaseLink) -> dict[str, Any]:
        instance.case_id = self._other(instance).pk  # type: ignore[attr-defined]
        item = super().to_representation(instance)
        if "link_type" in item:
            item["link_type"] = type_seen_from(instance, self.context["case"].pk)
        return item

    def _other(self, link: CaseLink) -> Any:
        here = self.context["case"].pk
        return link.to_case if link.from_case_id == here else link.from_case


class WatcherBody(ModelBody):
    expandable = {"user": PERSON}
    user = serializers.UUIDField(source="user_id")

    class Meta:
        model = CaseWatcher
        fields = ["id", "user", "created_at"]
        read_only_fields = ["id", "created_at"]


class NoteBody(ModelBody):
    expandable = {"created_by": PERSON}
    mentions = serializers.ListField(
        child=serializers.UUIDField(), max_length=MAX_MENTIONS, required=False, help_text="Members' ids."
    )

    class Meta:
        model = CaseNote
        fields = [
            "id",
            "content",
            "is_internal",
            "mentions",
            "edited_at",
            "created_by",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "edited_at", "created_by", "created_at", "updated_at"]


class NoteVersionBody(ModelBody):
    class Meta:
        model = CaseNoteVersion
        fields = ["id", "content", "written_at", "replaced_at", "replaced_by"]
        read_only_fields = fields


class NoteVersionsBody(Body):
    data = NoteVersionBody(many=True)  # type: ignore[assignment]


class MergeInto(Body):
    into = EntityId("case", row=True, help_text="The case that stays.")
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class MergeBody(ModelBody):
    class Meta:
        model = CaseMerge
        fields = ["id", "loser", "winner", "reason", "undone_at", "undone_by", "created_by", "created_at"]
        read_only_fields = fields


class EntryBody(Body):
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    id = serializers.UUIDField()
    actor_id = serializers.UUIDField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]


TimelineBody = page_of("TimelineBody", EntryBody)
