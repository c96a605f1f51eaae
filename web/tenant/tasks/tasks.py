"""Celery: beat sends `tasks.sweep` every half minute; each tenant's part names its tenant."""

from __future__ import annotations

from celery import shared_task

from web.shared.core.tasks import tenant_task
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids
from web.tenant.tasks.due import due_rows, everything_due

EXPIRES = 60
"""A sweep that nobody took in time is repeated by the next one anyway."""


@shared_task(name="tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send the task of every active tenant in which something is due; returns how many."""
    found = tenants_where(tenant_ids(), *due_rows())
    for tenant_id in found:
        of_tenant.apply_async((str(tenant_id),), expires=EXPIRES)
    return len(found)


@tenant_task(name="tasks.due")
def of_tenant(tenant_id: str) -> int:
    return sum(everything_due().values())
