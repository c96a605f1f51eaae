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
    example = {
        "case_type": "0199e9a1-0000-7c4e-8f57-1d3f0a5b7c21",
        "version": 2,
        "schema": {
            "type": "object",
            "properties": {
                "county": {"type": "string", "maxLength": 50},
                "diagnosis": {"type": "string", "x-sensitive": True},
            },
            "required": ["county"],
        },
        "sensitive_fields": ["diagnosis"],
    }

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
    example = {
        "name": "Office hours",
        "zone": "Africa/Nairobi",
        "weekly": {"monday": [["08:00", "12:00"], ["13:00", "17:00"]]},
        "exceptions": {"2026-12-25": []},
    }

    class Meta:
        model = BusinessCalendar
        fields = ["id", "name", "zone", "weekly", "exceptions", *_TIMES]
        read_only_fields = ["id", *_TIMES]


class PolicyBody(ModelBody):
    example = {
        "name": "High priority",
        "priority": "high",
        "case_type": None,
        "calendar": None,
        "first_response_minutes": 60,
        "next_response_minutes": 240,
        "resolution_minutes": 4320,
        "business_time": False,
        "escalations": [{"at": "breach", "after_minutes": 30, "do": "raise_priority"}],
        "is_active": True,
    }

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
    example = {
        "name": "Mine, late",
        "filters": {"assigned_to": "me", "sla_state": "breached"},
        "sort": "due_date",
    }

    class Meta:
        model = SavedView
        fields = ["id", "name", "filters", "sort", "is_shared", "owner", "created_at", "updated_at"]
        read_only_fields = ["id", "owner", "created_at", "updated_at"]
