"""Checking a person's password, slowly for who guesses.

The attempt is counted before the password is looked at, per (tenant, account, address) and per (tenant,
address); success clears the account's count and takes its own attempt off the address's, so that only wrong
passwords add up where a whole office has one address. Nobody is locked out by somebody else's guesses from
another address. Whether a second factor must follow is decided afterwards, in factors/.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate

from web.shared.accounts import limits
from web.shared.accounts.models import User, normalise_email
from web.shared.accounts.queries import may_enter
from web.shared.api.problems import BadCredentials, Throttled
from web.shared.core.metrics import SIGN_INS


def password_check(request: Any, *, email: str, password: str, tenant_id: str, address: str | None) -> User:
    """The user, who may sign in here. BadCredentials, the same for every reason; Throttled; redis errors."""
    email = normalise_email(email)
    account, everybody = f"{email} {address}", str(address)
    _count(tenant_id, "account", account, "per_account")
    _count(tenant_id, "address", everybody, "per_address")
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User) or not may_enter(user, tenant_id):
        SIGN_INS.labels(tenant_id, "refused").inc()
        raise BadCredentials()
    limits.forget(tenant_id, "account", account)
    limits.take_back(tenant_id, "address", everybody)
    SIGN_INS.labels(tenant_id, "accepted").inc()
    return user


def _count(tenant_id: str, kind: str, who: str, limit: str) -> None:
    try:
        limits.count(tenant_id, kind, who, limits.limit_of(limit))
    except Throttled:
        SIGN_INS.labels(tenant_id, "throttled").inc()
        raise
