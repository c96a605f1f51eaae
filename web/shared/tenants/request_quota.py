"""The quota `api_requests_per_day`: requests with a key or a token, by organisation and day in UTC.

Counted in Redis, exactly, in the same round trip as the rates (web.shared.api.throttles), and never by a
query on the way of a request: beside the count lies a copy of the limit, a minute old at most, and dropped as
soon as somebody sets another. Redis keeps nothing for good, so when count or copy are gone they are made
anew, from the request log and the quota's row. The log is written every two seconds off the requests' path:
after a loss of Redis at most that much is missing from the count. Without Redis nothing is counted and
everything passes, as with the rates.

Sessions are not counted: people at work cannot be locked out by a program's appetite, and whoever talks to a
caller works with a session and a socket. Nor is signing in, nor tickets for sockets. What a program does
about a call that is under way (its write-up and its draft) is counted, and never refused.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from django.db import transaction
from django.utils import timezone

from web.shared.api.problems import Throttled
from web.shared.core.stores import redis_client
from web.shared.tenants import quotas
from web.shared.tenants.keys import redis_key
from web.shared.tenants.models import QuotaKind
from web.shared.tenants.usage import UNCOUNTED

KIND = QuotaKind.API_REQUESTS.value
NEVER_REFUSED = frozenset({"calls:call-detail", "calls:call-draft"})
"""Routes of a call that is under way."""
NO_LIMIT = "-"
COPY_SECONDS = 60

log = structlog.get_logger("murima.api")


class RequestQuotaExceeded(Throttled):
    status, code, title = 429, "request_quota_exceeded", "This organisation's requests of today are used up"
    meaning = (
        "`limit` is how many requests with keys and tokens there may be on a day in UTC, `used` how many"
        " there were. The next day begins after the seconds in Retry-After; people who signed in work on."
    )


class Day:
    """Today's count of one organisation: where it lies, and how long the day still is."""

    def __init__(self, tenant_id: str, now: datetime) -> None:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.tenant_id = tenant_id
        self.seconds_left = int((midnight + timedelta(days=1) - now).total_seconds()) + 1
        self.count_key = redis_key(tenant_id, "requests", now.date().isoformat())
        self.limit_key = _limit_key(tenant_id)

    def learn(self) -> None:
        """Put count and limit where the script finds them. Raises RedisError. Two queries at most."""
        client, limit = redis_client(), quotas.limit_of(self.tenant_id, KIND)
        if limit is not None:
            # Whoever counts already is right: the log is behind.
            used = quotas.used(self.tenant_id, KIND)
            client.set(self.count_key, used, nx=True, ex=self.seconds_left + COPY_SECONDS)
        client.set(self.limit_key, NO_LIMIT if limit is None else limit, ex=COPY_SECONDS)


def day_of(request: Any) -> Day | None:
    """The day that this REST request counts in; None for one that does not count."""
    inner = request._request
    tenant, match = getattr(inner, "tenant", None), getattr(inner, "resolver_match", None)
    if tenant is None or request.auth is None or (match is not None and match.view_name in UNCOUNTED):
        return None
    return Day(str(tenant.pk), timezone.now())


def refuses(request: Any) -> bool:
    """Whether this request, which counts, may be refused for it."""
    match = getattr(request._request, "resolver_match", None)
    return match is None or match.view_name not in NEVER_REFUSED


def forget_limit(tenant_id: str) -> None:
    """After this transaction, have the limit read anew."""

    def forget() -> None:
        try:
            redis_client().delete(_limit_key(tenant_id))
        except redis.RedisError as error:  # the copy ends by itself
            log.warning("request_limit_not_told", tenant=tenant_id, error=type(error).__name__)

    transaction.on_commit(forget, robust=True)


def _limit_key(tenant_id: str) -> str:
    return redis_key(tenant_id, "requests", "limit")
