"""People, roles, teams and invitations as REST shows and takes them."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from web.shared.accounts.models import Team, TenantMembership, TenantRole, User
from web.shared.accounts.registry import Scope
from web.shared.api.serializers import Body, ModelBody
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import TenantInvitation

MAX_MEMBERS = 1000


class RoleField(serializers.SlugRelatedField[TenantRole]):
    """A role of this organisation, by its name."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs.setdefault("queryset", TenantRole.objects.all())
        super().__init__(slug_field="name", **kwargs)

    def get_queryset(self) -> QuerySet[TenantRole]:
        return TenantRole.objects.filter(tenant_id=current_tenant_id(), is_active=True)


class IdsField(serializers.ListField):
    """Ids that must all be rows of `rows()`: one query for the whole list."""

    child = serializers.UUIDField()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_MEMBERS, **kwargs)

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def run_validation(self, data: Any = empty) -> Any:
        ids = super().run_validation(data)
        if ids is empty or ids is None:
            return ids
        known = set(self.rows().filter(pk__in=ids).values_list("pk", flat=True))
        wrong = {
            place: [ErrorDetail("There is no such object here.", code="does_not_exist")]
            for place, pk in enumerate(ids)
            if pk not in known
        }
        if wrong:
            raise serializers.ValidationError(wrong)  # type: ignore[arg-type]
        return ids


class TeamsField(IdsField):
    def rows(self) -> QuerySet[Any]:
        return Team.objects.filter(tenant_id=current_tenant_id())


class MembersField(IdsField):
    def rows(self) -> QuerySet[Any]:
        return User.objects.filter(
            is_active=True, memberships__tenant_id=current_tenant_id(), memberships__is_active=True
        )


class PersonBody(ModelBody):
    """`id` is the user's: what other resources name. Name and e-mail are the person's own to change."""

    id = serializers.UUIDField(source="user_id", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)
    language = serializers.CharField(source="user.language", read_only=True)
    role = RoleField(required=False)
    teams = TeamsField(required=False)
    has_second_factor = serializers.BooleanField(read_only=True)

    class Meta:
        model = TenantMembership
        fields = [
            "id", "email", "name", "language", "role", "teams", "is_active", "has_second_factor",
            "joined_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["joined_at", "updated_at"]


@extend_schema_field({"type": "object", "additionalProperties": {"enum": [one.value for one in Scope]}})
class PermissionsField(serializers.DictField):
    """Code → own, team or all."""

    child = serializers.CharField(max_length=8)


class TenantRoleBody(ModelBody):
    """`id` is the name. `is_system_role`: still as shipped; the first change makes it your own."""

    id = serializers.CharField(source="name", read_only=True)
    name = serializers.RegexField(r"\A[a-z][a-z0-9_]{1,49}\Z")
    permissions = PermissionsField()

    class Meta:
        model = TenantRole
        fields = [
            "id", "name", "display_name", "permissions", "is_system_role", "is_active",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["is_system_role", "created_at", "updated_at"]
        # The rule "once per organisation" needs the tenant, which the service knows.
        validators: list[Any] = []

    def validate_name(self, value: str) -> str:
        if self.instance is not None and value != self.instance.name:
            raise serializers.ValidationError("A role keeps its name.", code="read_only")
        return value


class TeamBody(ModelBody):
    members = MembersField(required=False, source="member_ids")

    class Meta:
        model = Team
        fields = ["id", "name", "is_active", "members", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []


class PermissionBody(Body):
    code = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]


class PermissionsAnswer(Body):
    data = PermissionBody(many=True)  # type: ignore[assignment]


class InvitationBody(ModelBody):
    """`state`: open, accepted, withdrawn or expired. The link is mailed and shown to nobody here."""

    role = RoleField()
    email = serializers.EmailField(max_length=254)
    state = serializers.SerializerMethodField()

    class Meta:
        model = TenantInvitation
        fields = [
            "id", "email", "role", "state", "invited_by", "created_at", "sent_at", "expires_at",
            "accepted_at",
        ]  # fmt: skip
        read_only_fields = ["id", "invited_by", "created_at", "sent_at", "expires_at", "accepted_at"]

    def get_state(self, row: TenantInvitation) -> str:
        if row.is_accepted:
            return "accepted"
        if row.withdrawn_at is not None:
            return "withdrawn"
        return "expired" if row.expires_at <= self.context["now"] else "open"


class LinkBody(Body):
    token = serializers.CharField(max_length=128)


class AcceptBody(LinkBody):
    name = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")
    password = serializers.CharField(max_length=256, trim_whitespace=False, write_only=True)


class InvitationPreview(Body):
    """What the page behind the link shows. `known`: they have an account, and prove its password."""

    email = serializers.EmailField()
    organization = serializers.CharField()
    role = serializers.CharField()
    known = serializers.BooleanField()


class Joined(Body):
    user = serializers.UUIDField()
    email = serializers.EmailField()


def uuids(values: Any) -> list[uuid.UUID] | None:
    return None if values is None else list(values)
