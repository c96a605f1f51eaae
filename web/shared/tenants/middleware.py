"""Host → tenant → schema, for the length of one request.

The host (from the Host header alone; a forwarded one is never believed) is looked up in Domain. Found: the
rest of the request runs inside that tenant's context. A platform host: inside public, with the platform's
URLs. Anything else, malformed or doubled hosts included: 404, as a problem. Afterwards the connection knows
no schema again, so whatever is still evaluated then (a streamed queryset) raises instead of guessing.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase

from web.shared.api.problems import NotFound, TenantSuspended, problem_response
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import Domain, Tenant

_NOBODYS = "No organisation has this host name here. Ask at the address that your organisation gave you."


class TenantRequest(HttpRequest):
    """What views receive: `tenant` is None on the platform's hosts."""

    tenant: Tenant | None


def tenant_by_host(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        host = _host(request)
        if host in settings.PLATFORM_HOSTS:
            request.tenant = None  # type: ignore[attr-defined]
            request.urlconf = settings.PUBLIC_SCHEMA_URLCONF
            with public_context():
                return get_response(request)
        tenant = _tenant(host)
        if tenant is None:
            return problem_response(request, NotFound(_NOBODYS))
        if not tenant.is_active:
            return problem_response(request, TenantSuspended())
        request.tenant = tenant  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(tenant=tenant.id)
        with tenant_context(tenant.id):
            return get_response(request)

    return middleware


def _host(request: HttpRequest) -> str:
    """The host name in lower case, without port; empty when it is malformed."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return ""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.lower().rstrip(".")


def _tenant(host: str) -> Tenant | None:
    with public_context():
        domain = Domain.objects.select_related("tenant").filter(domain=host).first() if host else None
    return None if domain is None else domain.tenant
