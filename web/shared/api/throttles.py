"""How much one key, one person and one organisation may ask of us in a while.

Each request costs units (reading 1, writing 2, or what its view says) in a bucket: `default` for nearly
everything; `export`, `import` and `originate` for what costs us or the tenant real work or money. A subject's
allowance flows back evenly (GCRA: one number per subject, the time at which it is full again), so there is no
edge of a window at which twice as much fits. All subjects of a request are looked at and charged by one
script in Redis: one round trip, and nothing is charged when one of them has no more. REST framework's own
throttles read a list, add to it and write it back, so that requests at once lose each other's counts, and
take a round trip for each.

The organisation's quota of requests a day (web.shared.tenants.request_quota) is looked at by the same script.

Redis away: ordinary requests pass, and for some seconds do not even ask, so that nobody waits for a store
that does not answer; `originate` is refused, because its limit stands between a stolen key and a bill.
Signing in has counts of its own (web.shared.accounts.sign_in).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings

from web.shared.api.models import APIKey
from web.shared.api.problems import Throttled, Unavailable
from web.shared.core.net import client_address
from web.shared.core.stores import redis_client
from web.shared.tenants import request_quota
from web.shared.tenants.ids import PUBLIC
from web.shared.tenants.keys import redis_key
from web.shared.tenants.request_quota import Day, RequestQuotaExceeded

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

# KEYS: subjects; when the request counts in a day, also the day's count and the copy of its limit.
# ARGV: cost, whether it counts (1) and may be refused for it (2) or not (0), then (units, microseconds) of
# each subject. Answers what _Said says.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost, counts, subjects = tonumber(ARGV[1]), tonumber(ARGV[2]), #KEYS
local cap
if counts > 0 then
  subjects = subjects - 2
  cap = redis.call('GET', KEYS[subjects + 2])
  if not cap then return {4} end
  cap = tonumber(cap)
  if cap then
    local used = tonumber(redis.call('GET', KEYS[subjects + 1]) or -1)
    if used < 0 then return {4} end
    if counts == 2 and used >= cap then return {3, used, cap} end
  end
end
local full, left, best = {}, nil, 1
for i = 1, subjects do
  local units, period = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
  local at = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + math.ceil(cost * period / units)
  if at - now > period then return {0, at - now - period, i} end
  full[i] = at
  local remaining = math.floor((period - (at - now)) * units / period)
  if left == nil or remaining < left then left, best = remaining, i end
end
for i = 1, subjects do
  redis.call('SET', KEYS[i], string.format('%.0f', full[i]), 'PX', math.ceil((full[i] - now) / 1000))
end
if cap then
  local remaining = math.max(0, cap - redis.call('INCR', KEYS[subjects + 1]))
  if remaining < left then return {2, remaining, cap} end
end
return {1, left, full[best] - now, best}
"""


class _Said(IntEnum):
    """The script's first number, and what follows it."""

    WAIT = 0  # microseconds, and which subject has too little left
    PASSED = 1  # units left, microseconds until it is full, and which subject has the least left
    PASSED_DAY = 2  # requests left today, and the day's limit: even less than any subject has
    DAY_IS_OVER = 3  # requests of today, and the limit
    UNKNOWN = 4  # the day's count or limit is not in Redis


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
    """Take `cost` units from every subject of this REST request, and one from its organisation's day.

    Throttled when one has too few left; Unavailable when Redis is away and the bucket must not go unlimited;
    None when it may.
    """
    subjects, day = _subjects(request, bucket), request_quota.day_of(request)
    try:
        return _ask(subjects, cost, day, refuses=request_quota.refuses(request))
    except redis.RedisError as error:
        _stay_away(error)
        if bucket in FAIL_CLOSED:
            raise Unavailable("Limits cannot be checked, so this is not done now.") from None
        return None


def limits_of(request: Any) -> dict[str, Limit]:
    """Bucket → what whoever sent this request may spend in it, their organisation apart."""
    return {bucket: _subjects(request, bucket)[0][1] for bucket in LIMITS}


def _ask(subjects: list[tuple[str, Limit]], cost: int, day: Day | None, *, refuses: bool) -> Rate | None:
    said, numbers = _said(subjects, cost, day, refuses)
    if said == _Said.UNKNOWN and day is not None:
        day.learn()
        said, numbers = _said(subjects, cost, day, refuses)
    if day is not None and said == _Said.DAY_IS_OVER:
        used, limit = numbers
        rate = Rate(limit, 0, day.seconds_left)
        headers = {"Retry-After": str(day.seconds_left), **rate.headers()}
        raise RequestQuotaExceeded(headers=headers, quota=request_quota.KIND, limit=limit, used=used)
    if day is not None and said == _Said.PASSED_DAY:
        return Rate(numbers[1], numbers[0], day.seconds_left)
    if said not in (_Said.WAIT, _Said.PASSED):
        return None  # emptied again while we looked: it passes, and the next one is counted
    which = subjects[numbers[-1] - 1][1]
    if said == _Said.WAIT:
        wait = max(1, math.ceil(numbers[0] / 1_000_000))
        headers = {"Retry-After": str(wait), **Rate(which.units, 0, wait).headers()}
        raise Throttled(headers=headers)
    return Rate(which.units, numbers[0], math.ceil(numbers[1] / 1_000_000))


def _said(
    subjects: list[tuple[str, Limit]], cost: int, day: Day | None, refuses: bool
) -> tuple[_Said, list[int]]:
    if time.monotonic() < _away_until:
        raise redis.ConnectionError
    keys = [key for key, _ in subjects]
    counts = 0
    if day is not None:
        keys += [day.count_key, day.limit_key]
        counts = 2 if refuses else 1
    spans = [number for _, limit in subjects for number in (limit.units, limit.seconds * 1_000_000)]
    first, *numbers = _script()(keys=keys, args=[cost, counts, *spans])
    return _Said(first), [int(one) for one in numbers]


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
