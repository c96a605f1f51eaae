"""Signing in through an identity provider, and setting one up."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts import limits
from web.shared.accounts.api.people_bodies import RoleField
from web.shared.accounts.api.people_views import OfTenant
from web.shared.accounts.api.proof import as_actor, site_of
from web.shared.accounts.api.sign_in_views import organisation, sign_in_here
from web.shared.accounts.factors import pending
from web.shared.accounts.models import IdentityProvider, User
from web.shared.accounts.oidc import flow, identity, services
from web.shared.accounts.problems import FederationRefused
from web.shared.api.filters import Filter
from web.shared.api.problems import NotFound
from web.shared.api.serializers import Body, ModelBody
from web.shared.api.viewsets import ApiView, ResourceViewSet
from web.shared.core import audit
from web.shared.core.actor import system
from web.shared.core.net import client_address

COOKIE = "__Secure-murima-oidc" if settings.SESSION_COOKIE_SECURE else "murima_oidc"
COOKIE_PATH = "/api/v1/auth/oidc/"

log = structlog.get_logger(__name__)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class MappingField(serializers.DictField):
    """A value of the claim → the name of a role."""

    child = serializers.CharField(max_length=50)


class ProviderBody(ModelBody):
    """`client_secret` is stored sealed and never shown; `has_secret` says whether there is one."""

    client_secret = serializers.CharField(
        max_length=500, required=False, allow_blank=True, trim_whitespace=False, write_only=True
    )
    has_secret = serializers.SerializerMethodField()
    allowed_domains = serializers.ListField(
        child=serializers.RegexField(r"\A[a-z0-9.-]{3,253}\Z"), max_length=50, required=False
    )
    role_mapping = MappingField(required=False)
    default_role = RoleField(required=False, allow_null=True)

    class Meta:
        model = IdentityProvider
        fields = [
            "id", "slug", "name", "issuer", "client_id", "client_secret", "has_secret", "allowed_domains",
            "role_claim", "role_mapping", "default_role", "invite_only", "proves_second_factor", "is_active",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []

    def get_has_secret(self, row: IdentityProvider) -> bool:
        return bool(row.sealed_secret)


class ProviderViewSet(OfTenant, ResourceViewSet):
    """Identity providers of this organisation (OpenID Connect)."""

    queryset = IdentityProvider.objects.select_related("default_role")
    serializer_class = ProviderBody
    filters = {"is_active": Filter("is_active", schema={"type": "boolean"})}
    sort_fields = {"created_at": "created_at", "name": "name"}

    def perform_create(self, values: dict[str, Any]) -> IdentityProvider:
        return self.perform_update(IdentityProvider(tenant_id=self.tenant_id), values)

    def perform_update(self, row: IdentityProvider, values: dict[str, Any]) -> IdentityProvider:
        return services.provider_save(actor=self.actor, provider=row, values=values, grantor=self.grantor)

    def perform_destroy(self, row: IdentityProvider) -> None:
        services.provider_delete(actor=self.actor, provider=row)


class ProviderChoice(Body):
    slug = serializers.CharField()
    name = serializers.CharField()
    start = serializers.CharField()


class ProviderChoices(Body):
    data = ProviderChoice(many=True)  # type: ignore[assignment]


class ChoicesView(ApiView):
    @extend_schema(responses=ProviderChoices, operation_id="auth_oidc_list")
    def get(self, request: Request) -> Response:
        """What the sign-in page offers beside e-mail and password."""
        rows = IdentityProvider.objects.filter(tenant_id=organisation(request), is_active=True)
        data = [
            {"slug": row.slug, "name": row.name, "start": reverse("auth:oidc-start", args=[row.slug])}
            for row in rows.order_by("name")
        ]
        return Response(ProviderChoices({"data": data}).data)


class StartView(ApiView):
    @extend_schema(responses={302: None}, operation_id="auth_oidc_start")
    def get(self, request: Request, provider: str) -> HttpResponseBase:
        """Send the browser to the identity provider; `?next=` is a path of this host to come back to."""
        row, inner = _provider(request, provider), request._request
        limits.anonymous(row.tenant_id, client_address(inner))
        back = inner.build_absolute_uri(reverse("auth:oidc-callback", args=[row.slug]))
        begun = flow.start(row, redirect_uri=back, after=request.query_params.get("next", "/"))
        response = HttpResponseRedirect(begun.url)
        response.set_cookie(
            COOKIE,
            begun.cookie,
            max_age=flow.SECONDS,
            path=COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            # The provider sends the browser back from another site, by a link.
            samesite="Lax",
        )
        return response


class CallbackView(ApiView):
    @extend_schema(responses={302: None}, operation_id="auth_oidc_callback")
    def get(self, request: Request, provider: str) -> HttpResponseBase:
        """Where the identity provider sends the browser back to. Leads on, signed in or not.

        Refused: `/?sign_in_error=<reason>`. A second factor to come: `/#mfa=<state>&methods=<list>`.
        """
        row, inner = _provider(request, provider), request._request
        query = {name: str(value) for name, value in request.query_params.items()}
        try:
            claims, after = flow.finish(row, query=query, cookie=inner.COOKIES.get(COOKIE, ""))
            user = identity.person_behind(actor=system("oidc"), provider=row, claims=claims)
        except FederationRefused as refusal:
            reason = str(refusal.extra["reason"])
            log.warning("federation_refused", reason=reason)
            audit.record(actor=self.actor, action="federation_refused", obj=row, changes={"reason": reason})
            return _lead(f"/?{urlencode({'sign_in_error': reason})}")
        return _lead(self._signed_in(request, row, user, after))

    def _signed_in(self, request: Request, row: IdentityProvider, user: User, after: str) -> str:
        methods = [] if row.proves_second_factor else pending.methods_of(user, site_of(request).host)
        if methods:
            state = pending.begin(user, tenant_id=row.tenant_id, purpose="session", by_password=False)
            return f"/#{urlencode({'mfa': state, 'methods': ','.join(methods)})}"
        sign_in_here(request, user, by_password=False, factor_proved=row.proves_second_factor)
        audit.record(actor=as_actor(request, user), action="federated_sign_in", obj=row)
        return after


def _lead(url: str) -> HttpResponseBase:
    response = HttpResponseRedirect(url)
    response.delete_cookie(COOKIE, path=COOKIE_PATH)
    # The state may be in this address; nobody is told where the person came from.
    response["Referrer-Policy"] = "no-referrer"
    return response


def _provider(request: Request, slug: str) -> IdentityProvider:
    rows = IdentityProvider.objects.select_related("default_role")
    found = rows.filter(tenant_id=organisation(request), slug=slug, is_active=True).first()
    if found is None:
        raise NotFound()
    return found
