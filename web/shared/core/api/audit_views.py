"""The audit trail over REST, read only: who did what to which object, and when."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from web.shared.api.filters import Filter
from web.shared.api.serializers import ModelBody
from web.shared.api.viewsets import ReadOnlyViewSet
from web.shared.records.models import AuditEvent


class AuditEventBody(ModelBody):
    changes = serializers.DictField(help_text="Fields, ids, states; never what somebody typed.")

    class Meta:
        model = AuditEvent
        fields = [
            "id",
            "at",
            "actor_kind",
            "actor_id",
            "process",
            "action",
            "object_type",
            "object_id",
            "changes",
            "request_id",
            "ip_address",
        ]
        read_only_fields = fields


class AuditEventViewSet(ReadOnlyViewSet):
    """Newest first. Rows are only ever added; `manage.py audit_verify` proves it."""

    queryset = AuditEvent.objects.all()
    serializer_class: Any = AuditEventBody
    filters = {
        "action": Filter("action", many=True),
        "object_type": Filter("object_type"),
        "object_id": Filter("object_id"),
        "actor_id": Filter("actor_id", null=True, schema={"type": "string", "format": "uuid"}),
        "actor_kind": Filter("actor_kind", many=True),
        "request_id": Filter("request_id"),
        "at": Filter("at", ranges=True, schema={"type": "string", "format": "date-time"}),
    }
    sort_fields = {"at": "at"}
    default_sort = "-at"
