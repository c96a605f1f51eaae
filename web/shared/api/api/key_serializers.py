"""API keys as REST shows and takes them. A key's text is in the answer that made it, and nowhere else."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from web.shared.api.models import APIKey, APIRequestLog
from web.shared.api.serializers import ModelBody


class KeyBody(ModelBody):
    example = {
        "id": "0199e9a1-6f1c-7c4e-8f57-1d3f0a5b7c21",
        "name": "Nightly export",
        "prefix": "mrk_live_aB3dE5fG",
        "scopes": ["cases.view", "contacts.view"],
        "rate_limit": 600,
        "networks": ["192.0.2.0/24"],
        "is_active": True,
        "expires_at": "2030-01-01T00:00:00Z",
        "last_used": None,
        "created_by": "0199e9a1-6f1c-7c4e-8f57-1d3f0a5b7c20",
        "created_at": "2026-03-01T08:00:00Z",
        "updated_at": "2026-03-01T08:00:00Z",
    }
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=64),
        min_length=1,
        max_length=200,
        help_text="Permission codes that this key has; you must hold each of them for everything.",
    )
    networks = serializers.ListField(
        child=serializers.CharField(max_length=50),
        required=False,
        help_text="From where it may be used, in CIDR notation; empty: from anywhere.",
    )

    class Meta:
        model = APIKey
        fields = [
            "id",
            "name",
            "prefix",
            "scopes",
            "rate_limit",
            "networks",
            "is_active",
            "expires_at",
            "last_used",
            "created_by",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "prefix", "last_used", "created_by", "created_at", "updated_at"]

    def validate_expires_at(self, value: Any) -> Any:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("In the future, or null.", code="in_the_past")
        return value


class KeyMade(KeyBody):
    example = {**KeyBody.example, "key": "mrk_live_aB3dE5fG_0123456789abcdefghijklmnopqrstuv"}
    key = serializers.CharField(read_only=True, help_text="The key itself. It is shown only now.")

    class Meta(KeyBody.Meta):
        fields = [*KeyBody.Meta.fields, "key"]


class RequestBody(ModelBody):
    response_time = serializers.SerializerMethodField(help_text="Seconds.")

    class Meta:
        model = APIRequestLog
        fields = [
            "id",
            "created_at",
            "endpoint",
            "method",
            "status_code",
            "response_time",
            "ip_address",
            "request_id",
        ]
        read_only_fields = fields

    def get_response_time(self, row: APIRequestLog) -> float:
        return row.response_time.total_seconds()
