"""Serializer fields that name people.

Users are shared by all tenants, so a plain relation to User would accept anybody's id. MemberField accepts
and shows only who is an active member of the request's tenant.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.accounts.models import User
from web.shared.tenants.context import current_tenant_id


@extend_schema_field({"type": "string", "format": "uuid"})
class MemberField(serializers.PrimaryKeyRelatedField[User]):
    """The id of an active member of this tenant; anybody else's is refused as unknown."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs.setdefault("queryset", User.objects.all())
        super().__init__(**kwargs)

    def get_queryset(self) -> Any:
        return User.objects.filter(
            is_active=True, memberships__tenant_id=current_tenant_id(), memberships__is_active=True
        )
