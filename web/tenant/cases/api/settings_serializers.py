"""Forms, calendars, SLA policies and saved views, as REST shows and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from web.shared.api.serializers import ModelBody
from web.tenant.cases.api.fields import Choice
from web.tenant.cases.models import BusinessCalendar, CaseTypeForm, SavedView, SlaPolicy
from web.tenant.reference_data import queries as reference

_TIMES = ["created_by", "created_at", "updated_at"]


class FormBody(ModelBody):
    case_type = Choice(queryset=reference.rows("case_category").none())
    sensitive_fields = serializers.SerializerMethodField()

    class Meta:
        model = CaseTypeForm
        fields = ["id", "case_type", "version", "schema", "sensitive_fields", "created_by", "created_at"]
        read_only_fields = ["id", "version", "created_by", "created_at"]

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if "case_type" in fields:
            fields["case_type"].queryset = reference.rows("case_category")
        return fields

    def get_sensitive_fields(self, form: CaseTypeForm) -> list[str]:
        return sorted(form.sensitive)


class CalendarBody(ModelBody):
    class Meta:
        model = BusinessCalendar
        fields = ["id", "name", "zone", "weekly", "exceptions", *_TIMES]
        read_only_fields = ["id", *_TIMES]


class PolicyBody(ModelBody):
    case_type = Choice(queryset=reference.rows("case_category").none(), required=False, allow_null=True)
    calendar = Choice(queryset=BusinessCalendar.objects.none(), required=False, allow_null=True)

    class Meta:
        model = SlaPolicy
        fields = [
            "id",
            "name",
            "priority",
            "case_type",
            "calendar",
            "first_response_minutes",
            "next_response_minutes",
            "resolution_minutes",
            "business_time",
            "escalations",
            "is_active",
            *_TIMES,
        ]
        read_only_fields = ["id", *_TIMES]
        # The database's constraint says it with a name; a validator made from it would need both fields.
        validators: list[Any] = []

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if "case_type" in fields:
            fields["case_type"].queryset = reference.rows("case_category")
        if "calendar" in fields:
            fields["calendar"].queryset = BusinessCalendar.objects.all()
        return fields


class ViewBody(ModelBody):
    class Meta:
        model = SavedView
        fields = ["id", "name", "filters", "sort", "is_shared", "owner", "created_at", "updated_at"]
        read_only_fields = ["id", "owner", "created_at", "updated_at"]
