"""What a tenant did on a day: counts, never whose.

`measure(tenant, day)` asks each meter about the day as the tenant's zone sees it. A meter is
`fn(start, end) -> int`, run inside the tenant; those below count rows of apps that are known by name only,
because shared code stands under them; an app that knows better replaces one: `meter("cases_created", fn)`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db.models import Sum
from django.utils import timezone

from web.shared.core.files import tenant_root
from web.shared.tenants.context import current_tenant_id, tenant_context
from web.shared.tenants.models import Tenant

Meter = Callable[[datetime, datetime], int]
meters: dict[str, Meter] = {}
_elsewhere: list[Callable[[], int]] = []


def counts_elsewhere(count: Callable[[], int]) -> None:
    """Register who knows the bytes of an area whose files may lie on no disk of ours; asked in the tenant."""
    _elsewhere.append(count)


def meter(name: str, count: Meter) -> None:
    """Register who counts `name`, a column of TenantUsage. The last one wins."""
    meters[name] = count


def day_of(tenant: Tenant, moment: datetime) -> date:
    """The day that `moment` belongs to for this tenant."""
    return moment.astimezone(ZoneInfo(tenant.time_zone)).date()


def bounds(tenant: Tenant, day: date) -> tuple[datetime, datetime]:
    """The first instant of the day and of the next one, which may be 23 or 25 hours apart."""
    zone = ZoneInfo(tenant.time_zone)
    return (
        datetime.combine(day, time.min, tzinfo=zone),
        datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone),
    )


def measure(tenant: Tenant, day: date) -> dict[str, int]:
    """Column of TenantUsage → count, for one day of one tenant."""
    start, end = bounds(tenant, day)
    with tenant_context(tenant.pk):
        return {name: count(start, end) for name, count in meters.items()}


def storage_bytes(tenant_id: str) -> int:
    """Bytes of this tenant's files, here and elsewhere; a missing directory is none."""
    total = 0
    for folder, _, names in os.walk(tenant_root(tenant_id)):
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_size
            except FileNotFoundError:
                continue  # removed while we looked
    with tenant_context(tenant_id):
        return total + sum(count() for count in _elsewhere)


UNCOUNTED = frozenset({"auth:session", "auth:token", "auth:tickets", "auth:me"})
"""Routes of signing in, and of tickets for sockets: never part of a quota."""


def api_requests_today(tenant_id: str) -> int:
    """Requests since midnight in UTC that count in the quota: with a key or token, and not turned away."""
    now = timezone.now()
    rows = _logged(tenant_id, now.replace(hour=0, minute=0, second=0, microsecond=0), now)
    return int(rows.exclude(endpoint__in=UNCOUNTED).exclude(status_code=429).count())


def _logged(tenant_id: str, start: datetime, end: datetime) -> Any:
    rows = apps.get_model("api", "APIRequestLog").objects
    return rows.filter(tenant_id=tenant_id, created_at__gte=start, created_at__lt=end)


def _active_users(start: datetime, end: datetime) -> int:
    """Who did something that the audit trail has, or signed in."""
    tenant_id, between = current_tenant_id(), {"gte": start, "lt": end}
    acts = apps.get_model("records", "AuditEvent").objects.filter(
        actor_kind="user", **{f"at__{key}": value for key, value in between.items()}
    )
    people = set(acts.order_by().values_list("actor_id", flat=True).distinct())
    for model in ("Session", "TokenFamily"):
        rows = apps.get_model("accounts", model).objects.filter(
            tenant_id=tenant_id, **{f"created_at__{key}": value for key, value in between.items()}
        )
        people |= set(rows.values_list("user_id", flat=True))
    return len(people - {None})


def _rows(label: str, field: str) -> Meter:
    def count(start: datetime, end: datetime) -> int:
        model: Any = apps.get_model(label)
        found = model._base_manager.filter(**{f"{field}__gte": start, f"{field}__lt": end})
        return int(found.count())

    return count


def _call_seconds(start: datetime, end: datetime) -> int:
    calls = apps.get_model("calls", "Call")._base_manager.filter(started_at__gte=start, started_at__lt=end)
    total = calls.aggregate(total=Sum("talk"))["total"]
    return 0 if total is None else round(total.total_seconds())


meter("active_users", _active_users)
meter("api_requests", lambda start, end: int(_logged(str(current_tenant_id()), start, end).count()))
meter("storage_used", lambda start, end: storage_bytes(str(current_tenant_id())))
meter("cases_created", _rows("cases.Case", "created_at"))
meter("calls", _rows("calls.Call", "started_at"))
meter("call_seconds", _call_seconds)
