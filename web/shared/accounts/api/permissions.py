"""May they: the registry's row for this route and method, against the role in this tenant.

Sets `request.membership` and `request.scope_granted`. No row means no entry, for everybody. An API key has
its own codes instead of a role's, no membership, and no entry where only membership is asked, unless the view
says `open_to_keys`.
"""

from __future__ import annotations

from typing import Any

import structlog
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from web.shared.accounts import registry
from web.shared.accounts.queries import membership_of, platform_codes
from web.shared.api.problems import Forbidden, MethodNotAllowed, NotSignedIn


class HasRoutePermission(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        inner: Any = request._request
        match = inner.resolver_match
        if request.method not in view.allowed_methods:
            raise MethodNotAllowed(headers={"Allow": ", ".join(view.allowed_methods)})
        code = registry.code_for_route(match.view_name, request.method or "")
        if code == registry.ANYONE:
            return True
        if not request.user.is_authenticated:
            raise NotSignedIn()
        key = getattr(request.user, "key", None)
        inner.actor_id = request.user.pk if key is None else key.pk
        structlog.contextvars.bind_contextvars(user=str(inner.actor_id))
        if key is not None:
            return self._key_may(request, view, code)
        return self._member_may(request, code)

    def _key_may(self, request: Any, view: Any, code: str | None) -> bool:
        request.membership, request.viewer = None, request.user.viewer
        if code == registry.MEMBER:
            if not getattr(view, "open_to_keys", False):
                raise Forbidden("This is for people, not for API keys.")
            request.scope_granted = registry.Scope.ALL
            return True
        scope = request.viewer.scope(code or "")
        if scope is None:
            raise Forbidden("This key lacks that scope.", permission=code)
        request.scope_granted = scope
        return True

    def _member_may(self, request: Any, code: str | None) -> bool:
        tenant = request._request.tenant
        if tenant is None:
            if not request.user.is_platform_admin:
                raise Forbidden()
            if code != registry.MEMBER and code not in platform_codes(request.user):
                raise Forbidden(permission=code)
            request.scope_granted = registry.Scope.ALL
            return True
        membership = membership_of(request.user, tenant.pk)
        if membership is None:
            raise NotSignedIn("You are not a member of this organisation.")
        request.membership = membership
        if code == registry.MEMBER:
            request.scope_granted = registry.Scope.OWN
            return True
        scope = membership.permissions.get(code or "")
        if scope is None:
            raise Forbidden(permission=code)
        request.scope_granted = scope
        return True
