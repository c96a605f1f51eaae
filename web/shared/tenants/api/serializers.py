"""An organisation as its own people see it."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from rest_framework import serializers

from web.shared.api.serializers import Body, ModelBody
from web.shared.tenants import organization_settings
from web.shared.tenants.models import QuotaKind, Tenant


def check_zone(value: str) -> None:
    if value not in available_timezones():
        raise serializers.ValidationError("There is no such time zone.", code="unknown_time_zone")


def check_language(value: str) -> None:
    if value not in dict(settings.LANGUAGES):
        known = ", ".join(dict(settings.LANGUAGES))
        raise serializers.ValidationError(f"One of: {known}.", code="unknown_language")


class OrganizationBody(ModelBody):
    """`settings` as a whole: a PATCH replaces the object, whose form `settings_schema` tells."""

    id = serializers.CharField(source="pk", read_only=True)
    slug = serializers.CharField(read_only=True)
    region = serializers.RegexField(r"\A[A-Z]{2}\Z", required=False)
    time_zone = serializers.CharField(validators=[check_zone], required=False)
    language = serializers.CharField(validators=[check_language], required=False)
    settings = serializers.DictField(required=False)
    settings_schema = serializers.SerializerMethodField()

    class Meta:
        model = Tenant
        fields = [
            "id", "name", "slug", "sector", "language", "time_zone", "region", "settings", "settings_schema",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["id", "created_at", "updated_at"]

    def get_settings_schema(self, tenant: Tenant) -> dict[str, Any]:
        return organization_settings.json_schema()


class OrganizationQuotaBody(Body):
    """`limit`: null when there is none. Requests are those with keys and tokens since midnight in UTC."""

    kind = serializers.ChoiceField(choices=QuotaKind.choices)
    limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField()


class OrganizationQuotasBody(Body):
    """How much of everything the organisation has, and how much it may have."""

    data = OrganizationQuotaBody(many=True)  # type: ignore[assignment]
