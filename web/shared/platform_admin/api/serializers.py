"""Organisations, accounts and figures as the platform's host shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from web.shared.accounts.models import User
from web.shared.api.fields import OneOf
from web.shared.api.serializers import Body, ModelBody
from web.shared.platform_admin.models import SystemHealth, TenantUsage
from web.shared.tenants.api.serializers import check_language, check_zone
from web.shared.tenants.models import Domain, InboundNumber, QuotaKind, Tenant, slug_validator

ROLES = ("super_admin", "admin", "support")


class AdminBody(Body):
    """The first administrator: with a password they can sign in at once, without one they are invited."""

    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=150, required=False, default="")
    password = serializers.CharField(max_length=128, min_length=10, required=False, write_only=True)


class DomainBody(ModelBody):
    class Meta:
        model = Domain
        fields = ["id", "domain", "is_primary"]
        read_only_fields = ["id", "is_primary"]


class DomainValues(Body):
    domain = serializers.CharField(max_length=253)


class NumberBody(ModelBody):
    class Meta:
        model = InboundNumber
        fields = ["id", "trunk", "number", "is_active", "created_at"]
        read_only_fields = ["id", "is_active", "created_at"]
        # The service says the same, after it has looked.
        validators: list[Any] = []


class TenantBody(ModelBody):
    """`status` follows from creating, suspending and activating; `slug` stays what it was."""

    id = serializers.CharField(source="pk", read_only=True)
    slug = serializers.SerializerMethodField()
    region = serializers.RegexField(r"\A[A-Z]{2}\Z", required=False)
    time_zone = serializers.CharField(validators=[check_zone], required=False)
    language = serializers.CharField(validators=[check_language], required=False)
    settings = serializers.DictField(required=False)
    domains = DomainBody(many=True, read_only=True)
    quotas = serializers.SerializerMethodField()

    class Meta:
        model = Tenant
        fields = [
            "id", "slug", "name", "status", "sector", "subscription_plan", "region", "time_zone", "language",
            "settings", "domains", "quotas", "suspended_at", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["id", "status", "suspended_at", "created_at", "updated_at"]

    def get_slug(self, tenant: Tenant) -> str:
        return next((one.slug for one in tenant.domains.all() if one.is_primary), "")

    def get_quotas(self, tenant: Tenant) -> dict[str, int]:
        return {one.kind: one.limit for one in tenant.quotas.all()}


class TenantCreateBody(Body):
    slug = serializers.CharField(max_length=40, validators=[slug_validator])
    name = serializers.CharField(max_length=100)
    host = serializers.CharField(max_length=253, required=False, default="")
    sector = serializers.CharField(max_length=50, required=False)
    subscription_plan = serializers.CharField(max_length=50, required=False)
    region = serializers.RegexField(r"\A[A-Z]{2}\Z", required=False)
    time_zone = serializers.CharField(validators=[check_zone], required=False)
    language = serializers.CharField(validators=[check_language], required=False)
    admin = AdminBody()


class QuotaBody(Body):
    """`null` lifts a limit. `used` is counted when it is asked for."""

    users = serializers.IntegerField(min_value=0, required=False, allow_null=True)
    storage_bytes = serializers.IntegerField(min_value=0, max_value=2**62, required=False, allow_null=True)
    contacts = serializers.IntegerField(min_value=0, max_value=2**62, required=False, allow_null=True)
    api_requests_per_day = serializers.IntegerField(
        min_value=0, max_value=2**62, required=False, allow_null=True
    )


class QuotaShown(serializers.Serializer[Any]):
    kind = OneOf(choices=QuotaKind.choices)
    limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField()


class MembershipShown(serializers.Serializer[Any]):
    tenant = serializers.CharField(source="tenant_id")
    role = serializers.CharField(source="role.name")
    is_active = serializers.BooleanField()


class PlatformUserBody(ModelBody):
    platform_roles = serializers.SerializerMethodField()
    memberships = MembershipShown(many=True, read_only=True)

    class Meta:
        model = User
        fields = [
            "id", "email", "name", "is_active", "is_platform_admin", "platform_roles", "memberships",
            "last_login", "deactivated_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_platform_roles(self, user: User) -> list[str]:
        return sorted(one.role for one in user.platform_roles.all())


class RoleBody(Body):
    role = OneOf(choices=ROLES)


class UsageBody(ModelBody):
    tenant = serializers.CharField(source="tenant_id", read_only=True)

    class Meta:
        model = TenantUsage
        fields = [
            "id", "tenant", "date", "active_users", "api_requests", "storage_used", "cases_created", "calls",
            "call_seconds", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class HealthBody(ModelBody):
    class Meta:
        model = SystemHealth
        fields = ["id", "component", "status", "metrics", "checked_at"]
        read_only_fields = fields
