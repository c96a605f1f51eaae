"""Reference data as REST shows and takes it.

`label` is the name in the language of Accept-Language, where there is a translation. A key to another row is
its id; the category of an item may also be given by its name.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.utils.translation.trans_real import parse_accept_lang_header
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.api.serializers import Body, ModelBody
from web.tenant.reference_data.models import (
    CaseCategory,
    Location,
    Priority,
    ReferenceData,
    ReferenceDataCategory,
    ReferenceModel,
)
from web.tenant.reference_data.permissions import REFERENCE_VIEW

COMMON = ["translations", "is_active", "created_at", "updated_at"]
READ_ONLY = ["id", "created_at", "updated_at"]


def languages_of(request: Any) -> list[str]:
    """The languages that a request would like, best first; at most five."""
    header = request.headers.get("Accept-Language", "") if request is not None else ""
    return [tag for tag, quality in parse_accept_lang_header(header)[:5] if tag != "*" and quality > 0]


class RowKey(serializers.PrimaryKeyRelatedField[Any]):
    """The id of a row; an unknown one is refused in the same words as another tenant's."""

    default_error_messages = {
        "does_not_exist": "There is no such row.",
        "incorrect_type": "The id of a row, as text.",
    }

    def to_internal_value(self, data: Any) -> Any:
        try:
            uuid.UUID(str(data)) if isinstance(data, str) else self.fail("incorrect_type")
        except ValueError:
            self.fail("does_not_exist", pk_value="")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "description": "Id or name of a category; shown as its id."})
class CategoryKey(RowKey):
    def to_internal_value(self, data: Any) -> Any:
        rows: Any = self.get_queryset()
        if isinstance(data, str) and (found := rows.filter(name=data).first()):
            return found
        return super().to_internal_value(data)


class ReferenceBody(ModelBody):
    label = serializers.SerializerMethodField()  # type: ignore[assignment]
    translations = serializers.DictField(child=serializers.CharField(max_length=255), required=False)

    @extend_schema_field({"type": "string"})
    def get_label(self, row: ReferenceModel) -> str:
        context: Any = self.context
        if "languages" not in context:
            context["languages"] = languages_of(context.get("request"))
        return row.label_in(context["languages"])


class CaseCategorySummary(ReferenceBody):
    """What `?expand=` puts in the place of a category's id."""

    expand_code = REFERENCE_VIEW

    class Meta:
        model = CaseCategory
        fields = ["id", "code", "name", "label", "color", "parent"]


class LocationSummary(ReferenceBody):
    expand_code = REFERENCE_VIEW

    class Meta:
        model = Location
        fields = ["id", "code", "name", "label", "type", "parent"]


class ReferenceCategorySummary(ReferenceBody):
    expand_code = REFERENCE_VIEW

    class Meta:
        model = ReferenceDataCategory
        fields = ["id", "name", "display_name", "label", "category_type"]


class CaseCategoryBody(ReferenceBody):
    expandable = {"parent": "web.tenant.reference_data.api.serializers.CaseCategorySummary"}
    parent = RowKey(queryset=CaseCategory.objects.all(), required=False, allow_null=True)  # type: ignore[assignment]

    class Meta:
        model = CaseCategory
        fields = ["id", "code", "name", "label", "description", "color", "parent", "sort_order", *COMMON]
        read_only_fields = READ_ONLY


class PriorityBody(ReferenceBody):
    class Meta:
        model = Priority
        fields = ["id", "code", "name", "label", "level", "color", "sla_hours", *COMMON]
        read_only_fields = READ_ONLY


class LocationBody(ReferenceBody):
    expandable = {"parent": "web.tenant.reference_data.api.serializers.LocationSummary"}
    parent = RowKey(queryset=Location.objects.all(), required=False, allow_null=True)  # type: ignore[assignment]

    class Meta:
        model = Location
        fields = ["id", "code", "name", "label", "type", "parent", "sort_order", *COMMON]
        read_only_fields = READ_ONLY


class ReferenceCategoryBody(ReferenceBody):
    class Meta:
        model = ReferenceDataCategory
        fields = [
            "id",
            "name",
            "display_name",
            "label",
            "category_type",
            "description",
            "is_system",
            *COMMON,
        ]
        read_only_fields = [*READ_ONLY, "is_system"]


class ReferenceItemBody(ReferenceBody):
    expandable = {"category": "web.tenant.reference_data.api.serializers.ReferenceCategorySummary"}
    category = CategoryKey(queryset=ReferenceDataCategory.objects.all())
    parent = RowKey(queryset=ReferenceData.objects.all(), required=False, allow_null=True)  # type: ignore[assignment]
    metadata = serializers.DictField(required=False)

    class Meta:
        model = ReferenceData
        fields = [
            "id",
            "category",
            "code",
            "name",
            "label",
            "parent",
            "sort_order",
            "metadata",
            *COMMON,
        ]
        read_only_fields = READ_ONLY


class ReferenceMergeBody(Body):
    """Which row of the same kind takes the other's place."""

    into = serializers.UUIDField()


class ReferenceUsageBody(Body):
    """How many rows of whom point at this one."""

    in_use = serializers.DictField(child=serializers.IntegerField())
