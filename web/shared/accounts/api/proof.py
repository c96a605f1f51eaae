"""What views of one's own account share: proof of the password, and where one is.

Changing what lets one in needs a password shown in this session in the last ten minutes, or shown now as
`current_password`. A session through an organisation's identity provider has seen none: otherwise whoever
runs that provider could take over the account everywhere else.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.hashers import check_password
from django.utils import timezone
from rest_framework.request import Request

from web.shared.accounts import browser, limits
from web.shared.accounts.factors.passkeys import Site
from web.shared.accounts.middleware import tenant_key
from web.shared.accounts.models import TokenFamily, User
from web.shared.accounts.problems import PasswordNeeded
from web.shared.accounts.session_store import BREAK_GLASS, PROVED_AT
from web.shared.api.problems import Forbidden
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.net import client_address


def own_account(request: Request) -> User:
    """The person who asks, about their own account; nobody under break-glass."""
    user = request.user
    if not isinstance(user, User) or request._request.session.get(BREAK_GLASS):
        raise Forbidden("This is for people in their own account.")
    return user


def require(request: Request, current_password: str | None, *, always: bool = False) -> User:
    """The person, after proof of their password. PasswordNeeded; Throttled. `always`: it must come now."""
    user, inner = own_account(request), request._request
    from_session = not isinstance(request.auth, TokenFamily)
    if not always and from_session and browser.proved_lately(inner):
        return user
    if not current_password:
        raise PasswordNeeded()
    tenant_id, who = tenant_key(inner), f"{user.email} {client_address(inner)}"
    limits.count(tenant_id, "account", who, limits.limit_of("per_account"))
    if not check_password(current_password, user.password):
        raise PasswordNeeded("The password is wrong.")
    limits.forget(tenant_id, "account", who)
    if from_session:
        inner.session[PROVED_AT] = timezone.now().isoformat()
    return user


def site_of(request: Request) -> Site:
    inner: Any = request._request
    name = inner.get_host().lower()
    return Site(tenant_id=tenant_key(inner), host=name.rpartition(":")[0] or name, origin_host=name)


def as_actor(request: Request, user: User) -> Actor:
    """`user` as the actor of their own sign-in, which the request does not know yet."""
    inner: Any = request._request
    return Actor(ActorKind.USER, id=user.pk, request_id=inner.request_id, ip_address=client_address(inner))
