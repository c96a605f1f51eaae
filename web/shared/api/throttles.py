"""How much one key, one person and one organisation may ask of us in a while.

Each request costs units (reading 1, writing 2, or what its view says) in a bucket: `default` for nearly
everything; `export`, `import` and `originate` for what costs us or the tenant real work or money. A subject's
allowance flows back evenly (GCRA: one number per subject, the time at which it is full again), so there is no
edge of a window at which twice as much fits. All subjects of a request are looked at and charged by one
script in Redis: one round trip, and nothing is charged when one of them has no more. REST framework's own
throttles read a list, add to it and write it back, so that requests at once lose each other's counts, and
take a round trip for each.

Redis away: ordinary requests pass, and for some seconds do not even ask, so that nobody waits for a store
that does not answer; `originate` is refused, because its limit stands between a stolen key and a bill.
Signing in has counts of its own (web.shared.accounts.sign_in).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings

from web.shared.api.models import APIKey
from web.shared.api.problems import Throttled, Unavailable
from web.shared.core.net import client_address
from web.shared.core.stores import redis_client
from web.shared.tenants.ids import PUBLIC
from web.shared.tenants.keys import redis_key

log = structlog.get_logger("murima.api")


@dataclass(frozen=True, slots=True)
class Limit:
    """`units` that flow back over `seconds`; all of them may be spent at once."""

    units: int
    seconds: int


# Bucket → subject → limit. A key's `default` is its own rate_limit, per minute.
LIMITS: Mapping[str, Mapping[str, Limit]] = {
    "default": {"user": Limit(3_000, 60), "tenant": Limit(60_000, 60), "address": Limit(600, 60)},
    "export": {"user": Limit(20, 3600), "key": Limit(20, 3600), "tenant": Limit(100, 3600)},
    "import": {"user": Limit(20, 3600), "key": Limit(20, 3600), "tenant": Limit(100, 3600)},
    "originate": {"user": Limit(30, 60), "key": Limit(30, 60), "tenant": Limit(300, 60)},
}
FAIL_CLOSED = frozenset({"originate"})
NOT_ASKED_AGAIN_FOR = 5.0
READ, WRITE = 1, 2

# KEYS: subjects. ARGV: cost, then (units, microseconds) of each. Answers {0, microseconds to wait, index} or
# {1, units left, microseconds until full, index} of the subject with the least left.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost = tonumber(ARGV[1])
local full, left, best = {}, nil, 1
for i, key in ipairs(KEYS) do
  local units, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local at = math.max(tonumber(redis.call('GET', key) or 0), now) + math.ceil(cost * period / units)
  if at - now > period then return {0, at - now - period, i} end
  full[i] = at
  local remaining = math.floor((period - (at - now)) * units / period)
  if left == nil or remaining < left then left, best = remaining, i end
end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', full[i]), 'PX', math.ceil((full[i] - now) / 1000))
end
return {1, left, full[best] - now, best}
"""

_away_until = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What RateLimit-Limit, -Remaining and -Reset say."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


def charge(request: Any, bucket: str, cost: int) -> Rate | None:
    """Take `cost` units from every subject of this REST request. Throttled when one has too few left;
    Unavailable when Redis is away and the bucket must not go unlimited; None when it may."""
    subjects = _subjects(request, bucket)
    try:
        return _ask(subjects, cost)
    except redis.RedisError as error:
        _stay_away(error)
        if bucket in FAIL_CLOSED:
            raise Unavailable("Limits cannot be checked, so this is not done now.") from None
        return None


def limits_of(request: Any) -> dict[str, Limit]:
    """Bucket → what whoever sent this request may spend in it, their organisation apart."""
    return {bucket: _subjects(request, bucket)[0][1] for bucket in LIMITS}


def _ask(subjects: list[tuple[str, Limit]], cost: int) -> Rate | None:
    if time.monotonic() < _away_until:
        raise redis.ConnectionError
    spans = [number for _, limit in subjects for number in (limit.units, limit.seconds * 1_000_000)]
    allowed, number, *rest = _script()(keys=[key for key, _ in subjects], args=[cost, *spans])
    which = subjects[rest[-1] - 1][1]
    if not allowed:
        wait = max(1, math.ceil(number / 1_000_000))
        headers = {"Retry-After": str(wait), **Rate(which.units, 0, wait).headers()}
        raise Throttled(headers=headers)
    return Rate(which.units, int(number), math.ceil(rest[0] / 1_000_000))


def _subjects(request: Any, bucket: str) -> list[tuple[str, Limit]]:
    """(Redis key, limit) of everybody whom this request is charged to."""
    limits = LIMITS[bucket]
    tenant = getattr(request._request, "tenant", None)
    owner = PUBLIC if tenant is None else str(tenant.pk)
    if isinstance(request.auth, APIKey):
        own = limits.get("key") or Limit(request.auth.rate_limit, 60)
        named = [("key", str(request.auth.pk), own)]
    elif request.user.is_authenticated:
        named = [("user", str(request.user.pk), limits["user"])]
    else:
        # An address in the key would be a personal datum in a shared store; its colons would not do either.
        address = (client_address(request._request) or "none").replace(":", "-")
        named = [("address", address, LIMITS["default"]["address"])]
    if tenant is not None:
        named.append(("tenant", "all", limits["tenant"]))
    return [
        (redis_key(owner, "rate", bucket, kind, name), _scaled(limit) if kind != "key" else limit)
        for kind, name, limit in named
    ]


def _scaled(limit: Limit) -> Limit:
    return Limit(max(1, round(limit.units * settings.RATE_LIMIT_SCALE)), limit.seconds)


def _stay_away(error: redis.RedisError) -> None:
    global _away_until
    if time.monotonic() >= _away_until:
        _away_until = time.monotonic() + NOT_ASKED_AGAIN_FOR
        log.warning("rate_limits_unchecked", error=type(error).__name__)


@cache
def _script() -> Any:
    return redis_client().register_script(_SCRIPT)
