"""Session cookie → person, on the host where they signed in and nowhere else.

`request.user` is the signed-in user, or anonymous when the session was made for another tenant, before the
password last changed, or by somebody deactivated since. `request.membership` is their active membership of
this tenant (None on the platform's host, and for who is not a member).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import get_user
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from web.shared.accounts.session_store import TENANT_KEY
from web.shared.tenants.ids import PUBLIC


def tenant_key(request: Any) -> str:
    """What a session or token must name to be valid on this request's host."""
    return PUBLIC if request.tenant is None else str(request.tenant.pk)


def session_user(request: Any) -> Any:
    """The user of this request's session, or AnonymousUser."""
    if request.session.get(TENANT_KEY) != tenant_key(request):
        return AnonymousUser()
    user = get_user(request)
    return user if user.is_active else AnonymousUser()


class TenantAuthenticationMiddleware(AuthenticationMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        request.user = SimpleLazyObject(partial(session_user, request))  # type: ignore[assignment]
