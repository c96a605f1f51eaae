"""The platform's own periodic work: finish tenants, look at the components, count each tenant's day.

Each is idempotent, and everything that must happen has its state in PostgreSQL; a lost message is made good
by beat's next round.
"""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from web.shared.accounts import onboarding
from web.shared.core.actor import system
from web.shared.core.tasks import tenant_task, wake
from web.shared.platform_admin import health, usage
from web.shared.tenants.context import public_context
from web.shared.tenants.ids import as_tenant_id
from web.shared.tenants.models import Tenant, TenantStatus
from web.shared.tenants.ownership import owner_lock
from web.shared.tenants.queries import tenant_ids

GRACE = timedelta(seconds=30)


def wake_provisioning(tenant_id: str) -> None:
    """Ask a worker to finish a tenant now; beat does it when nobody could be asked."""
    wake(provision, tenant_id, expires=300)


@shared_task(name="platform.provision")  # type: ignore[untyped-decorator]
def provision(tenant_id: str) -> bool:
    """Make a tenant's schema and everything in it; False when there is nothing to do or somebody is at it."""
    with public_context():
        tenant = Tenant.objects.filter(pk=as_tenant_id(tenant_id), status=TenantStatus.PROVISIONING).first()
    if tenant is None:
        return False
    with owner_lock(f"provision {tenant_id}") as mine:
        if mine:
            onboarding.tenant_finish(actor=system("provisioning"), tenant=tenant)
        return mine


@shared_task(name="platform.provision_sweep")  # type: ignore[untyped-decorator]
def provision_sweep() -> int:
    """Finish what was left half made; returns how many tenants were found."""
    with public_context():
        rows = Tenant.objects.filter(
            status=TenantStatus.PROVISIONING, created_at__lt=timezone.now() - GRACE
        ).order_by("created_at")
        waiting = list(rows.values_list("pk", flat=True)[:50])
    for tenant_id in waiting:
        provision.delay(tenant_id)
    return len(waiting)


@shared_task(name="platform.health")  # type: ignore[untyped-decorator]
def look() -> int:
    """Look at every component and write down what was seen; returns how many are not healthy."""
    return health.look_and_record()


@shared_task(name="platform.usage")  # type: ignore[untyped-decorator]
def count_everybody() -> None:
    """Ask for each tenant's days; hourly, so that every zone's night is met."""
    for tenant_id in tenant_ids(active_only=False):
        count_tenant.delay(tenant_id)


@tenant_task(name="platform.usage.tenant")
def count_tenant(tenant_id: str) -> int:
    """Write down yesterday (and days that were missed) and today so far; returns how many days."""
    return usage.refresh(tenant_id)
