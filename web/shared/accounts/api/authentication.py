"""Who is asking: an API key or an access token as bearer, or the session cookie with CSRF.

All are valid on one tenant's host only. A bad token is refused even where nobody need be signed in, so that
a client learns of it at once.
"""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as RestSession
from rest_framework.request import Request

from web.shared.accounts import tokens
from web.shared.accounts.middleware import tenant_key
from web.shared.api import keys
from web.shared.api.problems import BadToken, CsrfRefused
from web.shared.core.net import client_address
from web.shared.tenants.ids import PUBLIC


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token or API key>`. `request.auth` is the TokenFamily or the APIKey."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        tenant_id = tenant_key(request._request)
        if tenant_id == PUBLIC:
            raise BadToken("This is the platform's host. Use tokens at your organisation's own address.")
        if token.strip().startswith(keys.PREFIX):
            address = client_address(request._request)
            principal = keys.recognised(token.strip(), tenant_id=tenant_id, address=address)
            return principal, principal.key
        family = tokens.family_of_access(token.strip(), tenant_id)
        return family.user, family

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="murima"'


class _Bodiless:
    """A request for the CSRF check, whose token counts in the header only.

    Django looks for one in the body first, and REST framework would read and parse that: an upload would be
    refused before its view sees it.
    """

    POST = QueryDict()

    def __init__(self, request: Any) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


class SessionAuthentication(RestSession):
    """The cookie set by POST /api/v1/auth/session/."""

    def enforce_csrf(self, request: Any) -> None:
        from rest_framework.exceptions import PermissionDenied

        bodiless: Any = _Bodiless(request._request)
        try:
            super().enforce_csrf(bodiless)
        except PermissionDenied:
            raise CsrfRefused() from None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="murima"'
