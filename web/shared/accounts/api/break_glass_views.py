"""The emergency door over REST: opened and listed on the platform's host, seen and shut on the tenant's."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts import break_glass
from web.shared.accounts.api.people_views import OfTenant
from web.shared.accounts.mail_texts import origin_of
from web.shared.accounts.models import BreakGlass
from web.shared.accounts.permissions import BREAK_GLASS_ADMIN
from web.shared.accounts.queries import platform_codes
from web.shared.api.fields import OneOf
from web.shared.api.filters import Filter
from web.shared.api.problems import Forbidden
from web.shared.api.serializers import ModelBody
from web.shared.api.viewsets import BaseViewSet, DestroyMixin, ListMixin, RetrieveMixin
from web.shared.tenants.models import Tenant, TenantStatus

MOMENT = {"type": "string", "format": "date-time"}


class DoorBody(ModelBody):
    """`state`: waiting (not entered yet), entered, closed or over."""

    tenant = serializers.PrimaryKeyRelatedField(queryset=Tenant.objects.filter(status=TenantStatus.ACTIVE))
    minutes = serializers.IntegerField(min_value=1, max_value=60, write_only=True)
    reason = serializers.CharField(min_length=10, max_length=500)
    access = OneOf(choices=BreakGlass.Access.choices, default=BreakGlass.Access.SUPPORT)
    opened_by = serializers.UUIDField(source="user_id", read_only=True)
    state = serializers.SerializerMethodField()

    class Meta:
        model = BreakGlass
        fields = [
            "id", "tenant", "access", "reason", "minutes", "opened_by", "state", "created_at", "expires_at",
            "entered_at", "closed_at", "closed_by",
        ]  # fmt: skip
        read_only_fields = ["id", "created_at", "expires_at", "entered_at", "closed_at", "closed_by"]

    def get_state(self, row: BreakGlass) -> str:
        if row.closed_at is not None:
            return "closed"
        if row.expires_at <= timezone.now():
            return "over"
        return "waiting" if row.entered_at is None else "entered"


class DoorAnswer(DoorBody):
    """`token`, shown once, is sent to `enter_at` on the tenant's host within five minutes."""

    token = serializers.CharField(read_only=True)
    enter_at = serializers.CharField(read_only=True)

    class Meta(DoorBody.Meta):
        fields = [*DoorBody.Meta.fields, "token", "enter_at"]


class PlatformDoorViewSet(ListMixin, RetrieveMixin, DestroyMixin, BaseViewSet):
    """Access of the platform's people to organisations, in an emergency. DELETE ends it."""

    queryset = BreakGlass.objects.all()
    serializer_class = DoorBody
    filters = {
        "tenant": Filter("tenant_id"),
        "opened_by": Filter("user_id"),
        "created_at": Filter("created_at", ranges=True, schema=MOMENT),
    }

    @extend_schema(responses={201: DoorAnswer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Open a door, for yourself, with a reason that the organisation will read."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        user: Any = request.user
        wants_all = body.validated_data["access"] == BreakGlass.Access.ADMIN
        if wants_all and BREAK_GLASS_ADMIN not in platform_codes(user):
            raise Forbidden(permission=BREAK_GLASS_ADMIN)
        row, token = break_glass.open_door(actor=self.actor, user=user, **body.validated_data)
        shown: Any = DoorBody(row).data
        origin = origin_of(row.tenant_id)
        answer = {**shown, "token": token, "enter_at": f"{origin}/api/v1/auth/session/break-glass/"}
        return Response(answer, status=201, headers={"Location": f"{request.path}{row.pk}/"})

    def perform_destroy(self, row: BreakGlass) -> None:
        break_glass.close_door(actor=self.actor, row=row)


class TenantDoorViewSet(OfTenant, ListMixin, RetrieveMixin, DestroyMixin, BaseViewSet):
    """When the platform's people had access to this organisation, and why. DELETE ends it."""

    queryset = BreakGlass.objects.all()
    serializer_class = DoorBody
    filters = {"created_at": Filter("created_at", ranges=True, schema=MOMENT)}

    def perform_destroy(self, row: BreakGlass) -> None:
        break_glass.close_door(actor=self.actor, row=row)
