"""Session cookie → person, on the host where they signed in and nowhere else.

`request.user` is the signed-in user, or anonymous when the session was made for another tenant, before the
password last changed, or by somebody deactivated since. `request.membership` is their active membership of
this tenant (None on the platform's host, and for who is not a member).

Before a view of the API (or of Django's admin) runs with a session, three things are looked at: a session
that may only set up a second factor gets no further; under break-glass the request is written down on both
sides first, and refused when that fails; and the session is marked as seen, at most once a minute.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import get_user
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from web.shared.accounts.session_store import BREAK_GLASS, ENROL_ONLY, TENANT_KEY
from web.shared.tenants.ids import PUBLIC

ENROL_ROUTES = frozenset(
    ["auth:session", "auth:me", "auth:mfa", "auth:mfa-totp", "auth:mfa-totp-confirm", "auth:mfa-recovery",
     "auth:mfa-passkeys", "auth:mfa-passkey-begin", "api-not-found"]
)  # fmt: skip
"""What a session answers that may only set up a second factor; it changes nothing else (no PATCH)."""


def tenant_key(request: Any) -> str:
    """What a session or token must name to be valid on this request's host."""
    return PUBLIC if request.tenant is None else str(request.tenant.pk)


def session_user(request: Any) -> Any:
    """The user of this request's session, or AnonymousUser. `request` may be a socket's stand-in."""
    if request.session.get(TENANT_KEY) != tenant_key(request):
        return AnonymousUser()
    if not isinstance(request, HttpRequest) and (
        request.session.get(ENROL_ONLY) or request.session.get(BREAK_GLASS)
    ):
        return AnonymousUser()
    user = get_user(request)
    return user if user.is_active else AnonymousUser()


class TenantAuthenticationMiddleware(AuthenticationMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        request.user = SimpleLazyObject(partial(session_user, request))  # type: ignore[assignment]

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        from web.shared.accounts import break_glass, sessions
        from web.shared.accounts.problems import EnrolmentRequired
        from web.shared.api.problems import problem_response
        from web.shared.core.net import client_address

        if not request.path.startswith(("/api/", "/admin/")) or not request.session.session_key:
            return None
        if request.session.get(TENANT_KEY) != tenant_key(request):
            return None
        allowed = request.method != "PATCH" and request.resolver_match.view_name in ENROL_ROUTES
        if request.session.get(ENROL_ONLY) and not allowed:
            return problem_response(request, EnrolmentRequired())
        if request.session.get(BREAK_GLASS):
            break_glass.write_down(request)
        sessions.touch(request.session, address=client_address(request), now=timezone.now())
        return None
