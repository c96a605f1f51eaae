"""Checking a person's password, slowly for who guesses.

`password_check` counts the attempt before it looks at the password, per (tenant, account, address) and per
(tenant, address), in Redis; success clears the account's count and takes its own attempt off the address's,
so that only wrong passwords add up where a whole office has one address. Nobody is locked out by somebody
else's guesses from another address. Without Redis nobody signs in (503): a limit that can be switched off by
killing a cache is none.

`mfa_required` is decided here, after the password. Nobody has a second factor yet, so it is False for all.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.utils.crypto import salted_hmac

from web.shared.accounts.models import User, normalise_email
from web.shared.accounts.queries import membership_of
from web.shared.api.problems import BadCredentials, Throttled
from web.shared.core.metrics import SIGN_INS
from web.shared.core.stores import redis_client
from web.shared.tenants.ids import PUBLIC
from web.shared.tenants.keys import redis_key

# Count and set the window's end at once; a crash between two commands could otherwise leave a count for ever.
_COUNT = """
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {n, redis.call('TTL', KEYS[1])}
"""

# The count may have run out meanwhile, and must not come back without an end.
_UNCOUNT = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DECR', KEYS[1]) end
"""


def password_check(request: Any, *, email: str, password: str, tenant_id: str, address: str | None) -> User:
    """The user, who may sign in here. BadCredentials, the same for every reason; Throttled; redis errors."""
    email = normalise_email(email)
    account = _key(tenant_id, "account", f"{email} {address}")
    _count(account, settings.SIGN_IN_LIMITS["per_account"], tenant_id)
    everybody = _key(tenant_id, "address", str(address))
    _count(everybody, settings.SIGN_IN_LIMITS["per_address"], tenant_id)
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User) or not _may_enter(user, tenant_id):
        SIGN_INS.labels(tenant_id, "refused").inc()
        raise BadCredentials()
    client: Any = redis_client()
    client.delete(account)
    client.eval(_UNCOUNT, 1, everybody)
    SIGN_INS.labels(tenant_id, "accepted").inc()
    return user


def mfa_required(user: User) -> bool:
    """Whether a second factor must follow."""
    return False


def _may_enter(user: User, tenant_id: str) -> bool:
    if tenant_id == PUBLIC:
        return user.is_active and user.is_platform_admin
    return membership_of(user, tenant_id) is not None


def _key(tenant_id: str, kind: str, who: str) -> str:
    # A keyed hash: Redis holds no e-mail address.
    return redis_key(
        tenant_id, "signin", kind, salted_hmac("murima.signin", who, algorithm="sha256").hexdigest()
    )


def _count(key: str, limit: int, tenant_id: str) -> None:
    client: Any = redis_client()
    attempts, remaining = client.eval(_COUNT, 1, key, settings.SIGN_IN_LIMITS["window_seconds"])
    if attempts > limit:
        SIGN_INS.labels(tenant_id, "throttled").inc()
        raise Throttled(headers={"Retry-After": str(max(1, remaining))})
