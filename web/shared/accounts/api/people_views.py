"""An organisation's people, roles, teams and invitations over REST.

These tables are shared by all tenants, so each queryset here begins with the tenant of the host.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts import invitations, limits, people, registry
from web.shared.accounts.api import people_bodies as bodies
from web.shared.accounts.middleware import tenant_key
from web.shared.accounts.models import Authenticator, Team, TeamMember, TenantMembership, TenantRole, User
from web.shared.accounts.registry import Scope
from web.shared.api.filters import Filter
from web.shared.api.viewsets import (
    ApiView,
    BaseViewSet,
    CreateMixin,
    DestroyMixin,
    ListMixin,
    ResourceViewSet,
    RetrieveMixin,
    UpdateMixin,
)
from web.shared.core.net import client_address
from web.shared.tenants.models import TenantInvitation

_BOOLEAN = {"type": "boolean"}


class OfTenant:
    """Rows of the host's tenant, and what the person asking may give away."""

    request: Any

    @property
    def tenant_id(self) -> str:
        return tenant_key(self.request._request)

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(tenant_id=self.tenant_id)

    @property
    def grantor(self) -> dict[str, Scope]:
        membership = getattr(self.request, "membership", None)
        return {} if membership is None else membership.permissions


def _named(queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
    return queryset.filter(Q(user__name__icontains=text) | Q(user__email__icontains=text))


def _in_team(queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
    field = TeamMember._meta.get_field("team").target_field
    found = TeamMember.objects.filter(team_id=field.to_python(text), user=OuterRef("user"))
    return queryset.filter(Exists(found.filter(team__tenant=OuterRef("tenant"))))


class UserViewSet(OfTenant, ListMixin, RetrieveMixin, UpdateMixin, DestroyMixin, BaseViewSet):
    """The members of this organisation. DELETE deactivates: people keep their rows."""

    queryset = TenantMembership.objects.select_related("user", "role").annotate(
        teams=ArraySubquery(
            TeamMember.objects.filter(user=OuterRef("user"), team__tenant=OuterRef("tenant"))
            .order_by("team_id")
            .values("team_id")
        ),
        has_second_factor=Exists(
            Authenticator.objects.filter(user=OuterRef("user"), confirmed_at__isnull=False)
        ),
    )
    serializer_class = bodies.PersonBody
    lookup_field = "user_id"
    filters = {
        "q": Filter(apply=_named),
        "role": Filter("role__name", many=True),
        "team": Filter(apply=_in_team),
        "is_active": Filter("is_active", schema=_BOOLEAN),
    }
    sort_fields = {"joined_at": "joined_at", "name": "user__name", "email": "user__email"}
    default_sort = "name"

    def perform_update(self, row: TenantMembership, values: dict[str, Any]) -> TenantMembership:
        people.membership_change(
            actor=self.actor,
            membership=row,
            grantor=self.grantor,
            role=values.get("role"),
            is_active=values.get("is_active"),
            teams=bodies.uuids(values.get("teams")),
        )
        changed: TenantMembership = self.get_queryset().get(pk=row.pk)
        return changed

    def perform_destroy(self, row: TenantMembership) -> None:
        people.membership_change(actor=self.actor, membership=row, grantor=self.grantor, is_active=False)


class RoleViewSet(OfTenant, ResourceViewSet):
    """The roles of this organisation, each code → scope. Nobody gives what they do not hold."""

    queryset = TenantRole.objects.all()
    serializer_class = bodies.TenantRoleBody
    lookup_field = "name"
    filters: ClassVar[dict[str, Filter]] = {"is_active": Filter("is_active", schema=_BOOLEAN)}
    sort_fields = {"name": "name", "created_at": "created_at"}
    default_sort = "name"

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = {name: value for name, value in body.validated_data.items() if name != "is_active"}
        row = people.role_create(
            actor=self.actor, tenant_id=self.tenant_id, grantor=self.grantor, **values
        )  # fmt: skip
        return self.answer(row, status=201, headers={"Location": f"{request.path}{row.name}/"})

    def perform_update(self, row: TenantRole, values: dict[str, Any]) -> TenantRole:
        return people.role_change(actor=self.actor, role=row, grantor=self.grantor, values=values)

    def perform_destroy(self, row: TenantRole) -> None:
        people.role_delete(actor=self.actor, role=row, grantor=self.grantor)


class PermissionsView(ApiView):
    @extend_schema(responses=bodies.PermissionsAnswer, operation_id="auth_permissions_list")
    def get(self, request: Request) -> Response:
        """Every code that a role can hold."""
        rows = [{"code": one.code, "label": one.label} for _, one in sorted(registry.permissions.items())]
        return Response(bodies.PermissionsAnswer({"data": rows}).data)


class TeamViewSet(OfTenant, ResourceViewSet):
    """Teams: what the scope `team` of a permission reaches."""

    # Not called members: that is the relation's own name, and a user's id is what others name.
    queryset = Team.objects.annotate(
        member_ids=ArraySubquery(
            TeamMember.objects.filter(team=OuterRef("pk")).order_by("user_id").values("user_id")
        )
    )
    serializer_class = bodies.TeamBody
    filters = {"is_active": Filter("is_active", schema=_BOOLEAN), "name": Filter("name")}
    sort_fields = {"name": "name", "created_at": "created_at"}
    default_sort = "name"

    def perform_create(self, values: dict[str, Any]) -> Team:
        members = bodies.uuids(values.get("member_ids")) or []
        made = people.team_create(
            actor=self.actor, tenant_id=self.tenant_id, name=values["name"], members=members
        )
        return self._shown(made)

    def perform_update(self, row: Team, values: dict[str, Any]) -> Team:
        members = bodies.uuids(values.pop("member_ids", None))
        people.team_change(actor=self.actor, team=row, values=values, members=members)
        return self._shown(row)

    def perform_destroy(self, row: Team) -> None:
        people.team_delete(actor=self.actor, team=row)

    def _shown(self, row: Team) -> Team:
        shown: Team = self.get_queryset().get(pk=row.pk)
        return shown


class InvitationViewSet(OfTenant, ListMixin, RetrieveMixin, CreateMixin, DestroyMixin, BaseViewSet):
    """Who was asked to join. DELETE withdraws an open invitation."""

    queryset = TenantInvitation.objects.select_related("role")
    serializer_class = bodies.InvitationBody
    filters = {"email": Filter("email"), "is_accepted": Filter("is_accepted", schema=_BOOLEAN)}
    sort_fields = {"created_at": "created_at", "expires_at": "expires_at"}

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": timezone.now()}

    def perform_create(self, values: dict[str, Any]) -> TenantInvitation:
        return invitations.invitation_create(
            actor=self.actor, tenant_id=self.tenant_id, grantor=self.grantor, **values
        )

    def perform_destroy(self, row: TenantInvitation) -> None:
        if not row.is_accepted and row.withdrawn_at is None:
            invitations.invitation_withdraw(actor=self.actor, invitation=row)


class InvitationPreviewView(ApiView):
    @extend_schema(
        request=bodies.LinkBody,
        responses=bodies.InvitationPreview,
        operation_id="auth_invitation_preview",
    )
    def post(self, request: Request) -> Response:
        """What an invitation's link is for."""
        body = bodies.LinkBody(data=request.data)
        body.is_valid(raise_exception=True)
        tenant_id = _counted(request)
        row = invitations.invitation_open(tenant_id=tenant_id, token=body.validated_data["token"])
        known = User.objects.filter(email=row.email).first()
        answer = {
            "email": row.email,
            "organization": row.tenant.name,
            "role": row.role.display_name,
            "known": known is not None and known.has_usable_password(),
        }
        return Response(bodies.InvitationPreview(answer).data)


class InvitationAcceptView(ApiView):
    @extend_schema(
        request=bodies.AcceptBody,
        responses={201: bodies.Joined},
        operation_id="auth_invitation_accept",
    )
    def post(self, request: Request) -> Response:
        """Join with an invitation's link; then sign in. Who has an account already proves its password."""
        body = bodies.AcceptBody(data=request.data)
        body.is_valid(raise_exception=True)
        tenant_id, address = _counted(request), str(client_address(request._request))

        def wrong() -> None:
            limits.count(tenant_id, "address", address, limits.limit_of("per_address"))

        made = invitations.invitation_accept(
            actor=self.actor, tenant_id=tenant_id, on_wrong_password=wrong, **body.validated_data
        )
        answer = {"user": made.user_id, "email": made.user.email}
        return Response(bodies.Joined(answer).data, status=201)


def _counted(request: Request) -> str:
    """The host's tenant, after counting this address's attempt."""
    inner = request._request
    tenant_id = tenant_key(inner)
    limits.anonymous(tenant_id, client_address(inner))
    return tenant_id
