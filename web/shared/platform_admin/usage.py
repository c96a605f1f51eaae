"""Each tenant's days, counted and kept, and the figures over all tenants.

`refresh` may run as often as one likes: a day has one row, overwritten until the day after is counted.
Nothing here names a person; figures of organisations are what the platform bills and plans by.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db.models import Max, Sum
from django.utils import timezone

from web.shared.platform_admin.models import TenantUsage
from web.shared.tenants import usage
from web.shared.tenants.context import public_context
from web.shared.tenants.models import Tenant

CAUGHT_UP = 7
"""Days that are counted after the fact at most, when nothing ran for long."""
SUMS = ("active_users", "api_requests", "cases_created", "calls", "call_seconds")


def refresh(tenant_id: str) -> int:
    """Count this tenant's days since the last one counted, and today so far; returns how many."""
    with public_context():
        tenant = Tenant.objects.get(pk=tenant_id)
        newest = TenantUsage.objects.filter(tenant=tenant).aggregate(at=Max("date"))["at"]
    today = usage.day_of(tenant, timezone.now())
    first = max(newest or today - timedelta(days=1), today - timedelta(days=CAUGHT_UP))
    days = [first + timedelta(days=count) for count in range((today - first).days + 1)]
    for day in days:
        record(tenant, day)
    return len(days)


def record(tenant: Tenant, day: date) -> TenantUsage:
    """Count one day and keep it. Files are what they are now, so an old day keeps the bytes it had."""
    counted = usage.measure(tenant, day)
    with public_context():
        if day < usage.day_of(tenant, timezone.now()) - timedelta(days=1):
            known = TenantUsage.objects.filter(tenant=tenant, date=day).first()
            if known is not None:
                counted["storage_used"] = known.storage_used
        row, _ = TenantUsage.objects.update_or_create(tenant=tenant, date=day, defaults=counted)
    return row


def today_so_far(tenant: Tenant) -> dict[str, Any]:
    """Today's counts now, not kept."""
    day = usage.day_of(tenant, timezone.now())
    return {"date": day.isoformat(), **usage.measure(tenant, day)}


def figures(*, first: date, last: date, tenant_id: str = "") -> dict[str, Any]:
    """Sums of the days from `first` to `last`: over everything, by day, and by tenant. Three queries.

    `active_users` of several days is the sum of the days', since who they were is not kept. Storage is not
    summed: the totals name the newest day's.
    """
    rows = TenantUsage.objects.filter(date__gte=first, date__lte=last)
    if tenant_id:
        rows = rows.filter(tenant_id=tenant_id)
    sums = {name: Sum(name) for name in SUMS}
    by_day = rows.values("date").annotate(**sums, storage_used=Sum("storage_used")).order_by("date")
    by_tenant = (
        rows.values("tenant_id")
        .annotate(**sums, storage_used=Max("storage_used"))
        .order_by("-calls", "-api_requests", "tenant_id")
    )
    days = [{**one, "date": one["date"].isoformat()} for one in by_day]
    total = rows.aggregate(**sums)
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "totals": {
            **{name: total[name] or 0 for name in SUMS},
            "storage_used": days[-1]["storage_used"] if days else 0,
        },
        "by_day": days,
        "by_tenant": [
            {("tenant" if key == "tenant_id" else key): value for key, value in one.items()}
            for one in by_tenant[:500]
        ],
    }
