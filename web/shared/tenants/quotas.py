"""How much a tenant may have, and the question that is asked before it gets more.

`quota_check(tenant_id, "users", 1)` raises QuotaExceeded when the amount would go over the limit; without a
limit it asks nothing of anybody. Whoever knows how much there is registers a gauge in `ready()`:
`gauge("storage_bytes", fn)`; fn() counts inside the tenant. Within a transaction the question is asked under
a lock until its end, so two at once cannot both take the last place. `room` tells how many more fit, for
whoever has many at once. What is over a limit that was set later stays, and undoing a merge is not asked.

Requests are counted elsewhere, because none of them may wait for a query: request_quota.py.
"""

from __future__ import annotations

from collections.abc import Callable

from django.apps import apps
from django.db import connection

from web.shared.api.problems import Conflict
from web.shared.tenants.context import current_tenant_id, public_context, tenant_context
from web.shared.tenants.models import QuotaKind, TenantQuota
from web.shared.tenants.usage import api_requests_today, storage_bytes

Gauge = Callable[[], int]
gauges: dict[str, Gauge] = {}


class QuotaExceeded(Conflict):
    status, code, title = 409, "quota_exceeded", "This organisation's limit is reached"
    meaning = "`quota` names what is limited, `limit` how much there may be, `used` how much there is."


def gauge(kind: str, count: Gauge) -> None:
    """Register how much of `kind` the tenant chosen has now."""
    gauges[QuotaKind(kind).value] = count


def limit_of(tenant_id: str, kind: str) -> int | None:
    """The limit, None when there is none. One query."""
    with public_context():
        return (
            TenantQuota.objects.filter(tenant_id=tenant_id, kind=QuotaKind(kind).value)
            .values_list("limit", flat=True)
            .first()
        )


def used(tenant_id: str, kind: str) -> int:
    """How much this tenant has now."""
    with tenant_context(tenant_id):
        return gauges[QuotaKind(kind).value]()


def shown(tenant_id: str) -> list[dict[str, int | str | None]]:
    """Each kind with its limit (None when there is none) and how much there is now."""
    with public_context():
        limits = dict(TenantQuota.objects.filter(tenant_id=tenant_id).values_list("kind", "limit"))
    return [
        {"kind": kind, "limit": limits.get(kind), "used": used(tenant_id, kind)} for kind in QuotaKind.values
    ]


def quota_check(tenant_id: str, kind: str, amount: int = 1) -> None:
    """QuotaExceeded when `amount` more of `kind` would be over this tenant's limit."""
    limit, present = _limit_and_used(tenant_id, kind)
    if limit is not None and present + amount > limit:
        raise QuotaExceeded(quota=str(QuotaKind(kind).value), limit=limit, used=present)


def room(tenant_id: str, kind: str) -> int | None:
    """How many more of `kind` this tenant may have; None when there is no limit."""
    limit, present = _limit_and_used(tenant_id, kind)
    return None if limit is None else max(0, limit - present)


def _limit_and_used(tenant_id: str, kind: str) -> tuple[int | None, int]:
    """Nothing is counted without a limit. Within a transaction nobody else gets an answer until its end."""
    limit = limit_of(tenant_id, kind)
    if limit is None:
        return None, 0
    if connection.in_atomic_block:
        with public_context(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"murima quota {tenant_id} {kind}"]
            )
    return limit, used(tenant_id, kind)


def _users() -> int:
    rows = apps.get_model("accounts", "TenantMembership").objects
    return int(rows.filter(tenant_id=current_tenant_id(), is_active=True).count())


def _contacts() -> int:
    return int(apps.get_model("contacts", "Contact").objects.count())


def _storage() -> int:
    return storage_bytes(str(current_tenant_id()))


def _api_requests() -> int:
    """Of today, in UTC, as the request log has them: two seconds late at most."""
    return api_requests_today(str(current_tenant_id()))


gauge("users", _users)
gauge("contacts", _contacts)
gauge("storage_bytes", _storage)
gauge("api_requests_per_day", _api_requests)
