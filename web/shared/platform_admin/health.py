"""How each component is: one probe per component, shared by beat, the platform's API and `doctor`.

A probe looks once, with a deadline of seconds, changes nothing and names numbers only: ages, lags, counts.
`look_and_record` is what beat does each minute; the rows are kept a week. That they are written at all proves
beat and a worker alive, so readers judge those two by the newest row's age (`current`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import msgspec
from django.apps import apps
from django.db import connection
from django.utils import timezone

from telephony import codec
from telephony.contract.clock import SECOND
from web.shared.core import log as facts
from web.shared.core.stores import redis_client
from web.shared.platform_admin.models import HealthStatus, SystemHealth
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.erasures import data_root
from web.shared.tenants.keys import redis_key
from web.shared.tenants.queries import tenant_ids
from web.shared.tenants.versions import public_version, tenant_versions

KEPT = timedelta(days=7)
EVERY_SECONDS = 60
BEAT_STALE_SECONDS = 5.0
LAG_WARNING, LAG_CRITICAL = 1_000, 50_000
DISK_WARNING, DISK_CRITICAL = 0.15, 0.05
TENANTS_LOOKED_AT = 500

HEALTHY, WARNING, CRITICAL = HealthStatus.HEALTHY, HealthStatus.WARNING, HealthStatus.CRITICAL


@dataclass(frozen=True, slots=True)
class Probe:
    """`metrics`: names and numbers, never data."""

    component: str
    status: str
    metrics: dict[str, Any] = field(default_factory=dict)


def probes() -> Iterator[Probe]:
    """Look at everything. A probe that breaks is a critical one, named by its error's class."""
    for component, look in PROBES.items():
        started = time.monotonic()
        try:
            status, metrics = look()
        except Exception as error:
            status, metrics = CRITICAL, {"error": type(error).__name__}
        took = round((time.monotonic() - started) * 1000, 1)
        yield Probe(component, status.value, {**metrics, "milliseconds": took})


def look_and_record() -> int:
    """Write down one look at everything and forget old ones; returns how many are not healthy."""
    found = list(probes())
    with public_context():
        SystemHealth.objects.bulk_create(
            SystemHealth(component=one.component, status=one.status, metrics=one.metrics) for one in found
        )
        SystemHealth.objects.filter(checked_at__lt=timezone.now() - KEPT).delete()
    return sum(one.status != HEALTHY for one in found)


def current() -> list[dict[str, Any]]:
    """The newest look at each component, with its age; and beat and worker, by that age. One query."""
    now = timezone.now()
    with public_context():
        rows = list(SystemHealth.objects.order_by("component", "-checked_at").distinct("component"))
    said = [
        {
            "component": row.component,
            "status": row.status,
            "metrics": row.metrics,
            "checked_at": row.checked_at.isoformat(),
            "age_seconds": round((now - row.checked_at).total_seconds(), 1),
        }
        for row in rows
    ]
    return [*said, _periodic(min((one["age_seconds"] for one in said), default=None))]


def _periodic(age: float | None) -> dict[str, Any]:
    """Beat and worker: whoever wrote the newest row was sent by one and run by the other."""
    late = age is None or age > 5 * EVERY_SECONDS
    status = CRITICAL if late else WARNING if age and age > 2.5 * EVERY_SECONDS else HEALTHY
    return {
        "component": "beat_and_worker",
        "status": status.value,
        "metrics": {},
        "checked_at": timezone.now().isoformat(),
        "age_seconds": age,
    }


# --- the probes --------------------------------------------------------------------------------------------

Seen = tuple[HealthStatus, dict[str, Any]]


def _database() -> Seen:
    with public_context(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()), "
            "current_setting('max_connections')::int, pg_database_size(current_database())"
        )
        used, most, size = cursor.fetchone()
    status = WARNING if used > 0.9 * most else HEALTHY
    return status, {"connections": used, "max_connections": most, "bytes": size}


def _redis() -> Seen:
    info: Any = redis_client().info()
    limit, used = int(info.get("maxmemory", 0)), int(info["used_memory"])
    evicts = info.get("maxmemory_policy", "noeviction") != "noeviction"
    status = WARNING if evicts or (limit and used > 0.9 * limit) else HEALTHY
    return status, {"bytes": used, "max_bytes": limit, "clients": int(info["connected_clients"])}


def _queue() -> Seen:
    """Tasks that wait for a worker."""
    waiting = int(cast(Any, redis_client()).llen("murima:celery:celery"))
    return (CRITICAL if waiting > 10_000 else WARNING if waiting > 500 else HEALTHY), {"waiting": waiting}


def _daemon() -> Seen:
    """By the heartbeat of each tenant's stream; a deployment that publishes nothing needs no daemon."""
    client: Any = redis_client()
    served = _served()
    ages = [age for tenant in served[:TENANTS_LOOKED_AT] if (age := beat_age(client, tenant)) is not None]
    late = sum(age > BEAT_STALE_SECONDS for age in ages) + len(served[:TENANTS_LOOKED_AT]) - len(ages)
    metrics = {
        "tenants": len(served),
        "silent": late,
        "youngest_beat_seconds": round(min(ages), 1) if ages else None,
    }
    if not served or not late:
        return HEALTHY, metrics
    return (CRITICAL if late == len(served[:TENANTS_LOOKED_AT]) else WARNING), metrics


def _served() -> list[str]:
    """Tenants that have published a policy: those whose calls the daemon takes."""
    with public_context(), connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant FROM public.policy_release ORDER BY tenant")
        return [tenant for (tenant,) in cursor.fetchall()]


def beat_age(client: Any, tenant_id: str) -> float | None:
    """Seconds since the daemon's last heartbeat for this tenant; None when its stream has none."""
    for _, fields in client.xrevrange(redis_key(tenant_id, "up"), count=50):
        if fields.get("k") == "beat":
            try:
                at = codec.decode_frame("beat", fields["d"].encode()).at  # type: ignore[union-attr]
            except (msgspec.DecodeError, AttributeError):
                return None
            return max(0.0, time.time() - at / SECOND)
    return None


def _asterisk() -> Seen:
    """ARI's own answer, as `doctor` asks it; the daemon's lease over callers hangs on it."""
    from web.shared.platform_admin.doctor import asterisk_version

    version = asterisk_version()
    return (HEALTHY if version else CRITICAL), {"version": version or None}


def _intake() -> Seen:
    """Facts that the log has and the tenants' rows have not."""
    lags: list[int] = []
    parked = 0
    for tenant in tenant_ids(active_only=False)[:TENANTS_LOOKED_AT]:
        head = facts.head(tenant)
        if not head:
            continue
        with tenant_context(tenant):
            place = apps.get_model("calls", "IntakePosition").objects.order_by("-seq").first()
            parked += apps.get_model("calls", "ParkedCall").objects.count()
        lags.append(head - (place.seq if place is not None else 0))
    worst = max(lags, default=0)
    status = CRITICAL if worst > LAG_CRITICAL else WARNING if worst > LAG_WARNING or parked else HEALTHY
    return status, {"worst_lag": worst, "lag": sum(lags), "parked_calls": parked, "tenants": len(lags)}


def _disk() -> Seen:
    place = data_root()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    share = usage.free / usage.total if usage.total else 0.0
    status = CRITICAL if share < DISK_CRITICAL else WARNING if share < DISK_WARNING else HEALTHY
    return status, {"free_bytes": usage.free, "total_bytes": usage.total, "free_share": round(share, 3)}


def _migrations() -> Seen:
    behind = [one for one in [public_version(), *tenant_versions()] if one.behind]
    return (WARNING if behind else HEALTHY), {"schemas_behind": len(behind)}


PROBES: dict[str, Callable[[], Seen]] = {
    "database": _database,
    "redis": _redis,
    "queue": _queue,
    "asterisk": _asterisk,
    "daemon": _daemon,
    "intake": _intake,
    "disk": _disk,
    "migrations": _migrations,
}
