"""How often somebody may try: counts in Redis, each with its window's end.

An attempt is counted before it is looked at, so that parallel guesses cannot slip through, and what turned
out right may be taken back. Redis holds keyed hashes, no address and no e-mail. Without Redis a guarded door
stays shut (503): a limit that can be switched off by killing a cache is none.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from web.shared.api.problems import Throttled
from web.shared.core.stores import redis_client
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

DEFAULTS = {
    # Wrong passwords.
    "per_account": 10,
    "per_address": 100,
    # Second factors: per person whatever the address, which only who knows the password can use up.
    "second_factor": 20,
    # Mails asked for, invitations opened, challenges drawn.
    "reset_per_account": 3,
    "anonymous_per_address": 300,
}


def limit_of(kind: str) -> int:
    """settings.SIGN_IN_LIMITS, else the default."""
    return int(settings.SIGN_IN_LIMITS.get(kind, DEFAULTS[kind]))


def count(tenant_id: str, kind: str, who: str, limit: int) -> None:
    """Count one attempt of `who`. Throttled, with the seconds to wait, when it is one too many."""
    client: Any = redis_client()
    window = settings.SIGN_IN_LIMITS["window_seconds"]
    attempts, remaining = client.eval(_COUNT, 1, _key(tenant_id, kind, who), window)
    if attempts > limit:
        raise Throttled(headers={"Retry-After": str(max(1, remaining))})


def take_back(tenant_id: str, kind: str, who: str) -> None:
    client: Any = redis_client()
    client.eval(_UNCOUNT, 1, _key(tenant_id, kind, who))


def forget(tenant_id: str, kind: str, who: str) -> None:
    redis_client().delete(_key(tenant_id, kind, who))


def anonymous(tenant_id: str, address: str | None) -> None:
    """For endpoints that anybody may call: so many per address."""
    count(tenant_id, "anonymous", str(address), limit_of("anonymous_per_address"))


def _key(tenant_id: str, kind: str, who: str) -> str:
    hidden = salted_hmac("murima.signin", who, algorithm="sha256").hexdigest()
    return redis_key(tenant_id, "signin", kind, hidden)
