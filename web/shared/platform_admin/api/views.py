"""The platform's API: organisations, accounts, figures and health. On the platform's host only.

Nothing here shows what is inside an organisation: counts, limits, states and the accounts of people, which
are shared. Each act is in the platform's audit trail.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts.models import TenantMembership, User
from web.shared.api.filters import Filter
from web.shared.api.problems import FieldError, Malformed, NotFound
from web.shared.api.viewsets import (
    ApiView,
    BaseViewSet,
    CreateMixin,
    ListMixin,
    ReadOnlyViewSet,
    RetrieveMixin,
    UpdateMixin,
)
from web.shared.platform_admin import health, services, usage
from web.shared.platform_admin.api import serializers as bodies
from web.shared.platform_admin.models import SystemHealth, TenantUsage
from web.shared.tenants import quotas
from web.shared.tenants import services as tenants
from web.shared.tenants.models import QuotaKind, Tenant, TenantQuota, TenantStatus

DATE = {"type": "string", "format": "date"}
MOMENT = {"type": "string", "format": "date-time"}


def _search(queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
    return queryset.filter(Q(name__icontains=text) | Q(domains__domain__icontains=text.lower())).distinct()


class TenantViewSet(ListMixin, RetrieveMixin, CreateMixin, UpdateMixin, BaseViewSet):
    """Organisations. A new one is `provisioning` for some seconds; read it until it is `active`."""

    queryset = Tenant.objects.prefetch_related("domains", "quotas")
    serializer_class = bodies.TenantBody
    lookup_field = "schema_name"
    filters = {
        "status": Filter("status", many=True),
        "sector": Filter("sector"),
        "subscription_plan": Filter("subscription_plan"),
        "q": Filter(apply=_search),
        "created_at": Filter("created_at", ranges=True, schema=MOMENT),
    }
    sort_fields = {"created_at": "created_at", "name": "name"}

    @extend_schema(request=bodies.TenantCreateBody, responses={202: bodies.TenantBody})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = bodies.TenantCreateBody(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        tenant = services.tenant_request(
            actor=self.actor, slug=values.pop("slug"), name=values.pop("name"), admin=values.pop("admin"),
            host=values.pop("host", ""), values=values,
        )  # fmt: skip
        headers = {"Location": f"{request.path}{tenant.pk}/"}
        if tenant.status == TenantStatus.PROVISIONING:
            headers["Retry-After"] = "2"
        return self.answer(self._again(tenant), status=202, headers=headers)

    def perform_update(self, row: Tenant, values: dict[str, Any]) -> Tenant:
        tenants.tenant_update(actor=self.actor, tenant=row, values=values)
        return self._again(row)

    @extend_schema(request=None, responses=bodies.TenantBody)
    @action(detail=True, methods=["post"])
    def suspend(self, request: Request, **_: Any) -> Response:
        """Nobody signs in, sockets close, no new call enters; live calls finish."""
        return self.answer(self._again(services.tenant_suspend(actor=self.actor, tenant=self.get_object())))

    @extend_schema(request=None, responses=bodies.TenantBody)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, **_: Any) -> Response:
        """Lift a suspension."""
        return self.answer(self._again(services.tenant_resume(actor=self.actor, tenant=self.get_object())))

    @extend_schema(responses=bodies.DomainBody(many=True))
    @action(detail=True, methods=["get"])
    def domains(self, request: Request, **_: Any) -> Response:
        """The host names that lead to this organisation."""
        rows = self.get_object().domains.order_by("-is_primary", "domain")
        return Response({"data": bodies.DomainBody(rows, many=True).data})

    @extend_schema(request=bodies.DomainValues, responses={201: bodies.DomainBody})
    @domains.mapping.post
    def domain_add(self, request: Request, **_: Any) -> Response:
        body = bodies.DomainValues(data=request.data)
        body.is_valid(raise_exception=True)
        row = tenants.domain_add(
            actor=self.actor, tenant=self.get_object(), host=body.validated_data["domain"]
        )
        return Response(
            bodies.DomainBody(row).data, status=201, headers={"Location": f"{request.path}{row.pk}/"}
        )

    @extend_schema(responses={204: None})
    @action(
        detail=True, methods=["delete"], url_path=r"domains/(?P<domain_id>[0-9]{1,18})", url_name="domain"
    )
    def domain(self, request: Request, domain_id: str, **_: Any) -> Response:
        """Take a host name away; the first one stays."""
        tenants.domain_remove(actor=self.actor, domain=_one(self.get_object().domains, domain_id))
        return Response(status=204)

    @extend_schema(responses=bodies.NumberBody(many=True))
    @action(detail=True, methods=["get"])
    def numbers(self, request: Request, **_: Any) -> Response:
        """The trunks and dialled numbers whose calls are this organisation's."""
        rows = self.get_object().inbound_numbers.order_by("trunk", "number")
        return Response({"data": bodies.NumberBody(rows, many=True).data})

    @extend_schema(request=bodies.NumberBody, responses={201: bodies.NumberBody})
    @numbers.mapping.post
    def number_add(self, request: Request, **_: Any) -> Response:
        body = bodies.NumberBody(data=request.data)
        body.is_valid(raise_exception=True)
        row = tenants.number_assign(actor=self.actor, tenant=self.get_object(), **body.validated_data)
        return Response(
            bodies.NumberBody(row).data, status=201, headers={"Location": f"{request.path}{row.pk}/"}
        )

    @extend_schema(responses={204: None})
    @action(
        detail=True, methods=["delete"], url_path=r"numbers/(?P<number_id>[0-9]{1,18})", url_name="number"
    )
    def number(self, request: Request, number_id: str, **_: Any) -> Response:
        """The number belongs to nobody from now on."""
        row = _one(self.get_object().inbound_numbers, number_id)
        tenants.number_release(actor=self.actor, number=row)
        return Response(status=204)

    @extend_schema(responses=bodies.QuotaShown(many=True))
    @action(detail=True, methods=["get"])
    def quotas(self, request: Request, **_: Any) -> Response:
        """Limits and what is used of each."""
        return self._quotas(self.get_object())

    @extend_schema(request=bodies.QuotaBody, responses=bodies.QuotaShown(many=True))
    @quotas.mapping.patch
    def quotas_set(self, request: Request, **_: Any) -> Response:
        body = bodies.QuotaBody(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.get_object()
        tenants.quota_set(actor=self.actor, tenant=tenant, limits=body.validated_data)
        return self._quotas(tenant)

    @extend_schema(responses=bodies.UsageBody(many=True))
    @action(detail=True, methods=["get"])
    def usage(self, request: Request, **_: Any) -> Response:
        """The last thirty days, newest first, and today so far."""
        tenant = self.get_object()
        rows = TenantUsage.objects.filter(tenant=tenant).order_by("-date")[:30]
        today = None if tenant.status == TenantStatus.PROVISIONING else usage.today_so_far(tenant)
        return Response({"today": today, "data": bodies.UsageBody(rows, many=True).data})

    def _quotas(self, tenant: Tenant) -> Response:
        if tenant.status != TenantStatus.PROVISIONING:
            return Response({"data": quotas.shown(tenant.pk)})
        limits = dict(TenantQuota.objects.filter(tenant=tenant).values_list("kind", "limit"))
        rows = [{"kind": kind, "limit": limits.get(kind), "used": 0} for kind in QuotaKind.values]
        return Response({"data": rows})

    def _again(self, tenant: Tenant) -> Tenant:
        found: Tenant = Tenant.objects.prefetch_related("domains", "quotas").get(pk=tenant.pk)
        return found


def _one(rows: Any, pk: str) -> Any:
    try:
        return rows.get(pk=int(pk))
    except ObjectDoesNotExist:
        raise NotFound() from None


class UserViewSet(ReadOnlyViewSet):
    """People's accounts, over all organisations."""

    queryset = User.objects.prefetch_related(
        "platform_roles",
        Prefetch("memberships", TenantMembership.objects.select_related("role").order_by("id")),
    )
    serializer_class = bodies.PlatformUserBody
    filters = {
        "is_active": Filter("is_active", schema={"type": "boolean"}),
        "is_platform_admin": Filter("is_platform_admin", schema={"type": "boolean"}),
        "tenant": Filter(apply=lambda rows, text: rows.filter(memberships__tenant_id=text)),
        "email": Filter(apply=lambda rows, text: rows.filter(email=text.lower())),
        "q": Filter(apply=lambda rows, text: rows.filter(Q(email__icontains=text) | Q(name__icontains=text))),
    }
    sort_fields = {"created_at": "created_at", "email": "email"}

    @extend_schema(request=None, responses=bodies.PlatformUserBody)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, **_: Any) -> Response:
        """No way in any more, in any organisation; what they wrote stays."""
        services.account_deactivate(actor=self.actor, user=self.get_object())
        return self.answer(self.get_object())

    @extend_schema(request=None, responses=bodies.PlatformUserBody)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, **_: Any) -> Response:
        services.account_activate(actor=self.actor, user=self.get_object())
        return self.answer(self.get_object())

    @extend_schema(request=bodies.RoleBody, responses=bodies.PlatformUserBody)
    @action(detail=True, methods=["post"], url_path="platform-roles")
    def roles(self, request: Request, **_: Any) -> Response:
        """Give a platform role."""
        body = bodies.RoleBody(data=request.data)
        body.is_valid(raise_exception=True)
        services.platform_role_grant(
            actor=self.actor, user=self.get_object(), role=body.validated_data["role"]
        )
        return self.answer(self.get_object())

    @extend_schema(responses={204: None})
    @action(
        detail=True, methods=["delete"], url_path=r"platform-roles/(?P<role>[a-z_]{1,50})", url_name="role"
    )
    def role(self, request: Request, role: str, **_: Any) -> Response:
        """Take a platform role."""
        services.platform_role_revoke(actor=self.actor, user=self.get_object(), role=role)
        return Response(status=204)


class AnalyticsView(ApiView):
    """Figures over all organisations, by day and by organisation: counts only."""

    @extend_schema(responses={200: {"type": "object"}})
    def get(self, request: Request) -> Response:
        today = timezone.now().date()
        last = _date(request, "to", today)
        first = _date(request, "from", last - timedelta(days=29))
        if not timedelta(0) <= last - first <= timedelta(days=366):
            raise _bad("from", "At most 366 days, the first not after the last.")
        for name in request.query_params:
            if name not in ("from", "to", "tenant"):
                raise _bad(name, "There is no such parameter.")
        tenant_id = request.query_params.get("tenant", "")
        return Response(usage.figures(first=first, last=last, tenant_id=tenant_id))


def _date(request: Request, name: str, default: date) -> date:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _bad(name, "A date: YYYY-MM-DD.") from None


def _bad(name: str, detail: str) -> Malformed:
    return Malformed(detail, errors=[FieldError(f"?{name[:64]}", "bad_value", detail)])


class UsageViewSet(ListMixin, BaseViewSet):
    """The kept days, one row for each organisation and day."""

    queryset = TenantUsage.objects.all()
    serializer_class = bodies.UsageBody
    filters = {"tenant": Filter("tenant_id"), "date": Filter("date", ranges=True, schema=DATE)}
    sort_fields = {"date": "date"}
    default_sort = "-date"


class HealthView(ApiView):
    """How each component was when beat last looked."""

    @extend_schema(responses={200: {"type": "object"}})
    def get(self, request: Request) -> Response:
        found = health.current()
        order = ["critical", "warning", "healthy"]
        worst = min((one["status"] for one in found), key=order.index)
        return Response({"status": worst, "components": found})


class HealthHistoryViewSet(ListMixin, BaseViewSet):
    """What was seen in the last days."""

    queryset = SystemHealth.objects.all()
    serializer_class = bodies.HealthBody
    filters = {
        "component": Filter("component", many=True),
        "status": Filter("status", many=True),
        "checked_at": Filter("checked_at", ranges=True, schema=MOMENT),
    }
    sort_fields = {"checked_at": "checked_at"}
    default_sort = "-checked_at"
