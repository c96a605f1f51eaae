"""Celery: beat sends `tasks.sweep` every half minute; each tenant's part names its tenant."""

from __future__ import annotations

from celery import shared_task

from web.shared.core.tasks import tenant_task
from web.shared.tenants.context import tenant_context
from web.shared.tenants.queries import tenant_ids
from web.tenant.tasks.due import everything_due, is_anything_due

EXPIRES = 60
"""A sweep that nobody took in time is repeated by the next one anyway."""


@shared_task(name="tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send the task of every active tenant in which something is due; returns how many."""
    sent = 0
    for tenant_id in tenant_ids():
        with tenant_context(tenant_id):
            due = is_anything_due()
        if due:
            of_tenant.apply_async((str(tenant_id),), expires=EXPIRES)
            sent += 1
    return sent


@tenant_task(name="tasks.due")
def of_tenant(tenant_id: str) -> int:
    return sum(everything_due().values())
