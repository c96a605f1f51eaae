"""Celery: deliveries right after a commit, and a sweep for everything that became due.

Beat sends `notifications.sweep`, and `notifications.forget` daily; each tenant's part names its tenant.
"""

from __future__ import annotations

from celery import shared_task

from web.shared.core.tasks import tenant_task, wake
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids
from web.tenant.notifications import delivery, escalation, services

EXPIRES = 60


def wake_worker(tenant_id: str) -> None:
    """Ask a worker to deliver now; when that cannot be sent, the sweep does it."""
    wake(deliver, tenant_id)


@tenant_task(name="notifications.deliver")
def deliver(tenant_id: str) -> int:
    return delivery.deliver_due()


@tenant_task(name="notifications.due")
def of_tenant(tenant_id: str) -> int:
    """Escalations first: what they add is delivered in the same run."""
    return escalation.escalate_due() + delivery.deliver_due()


@shared_task(name="notifications.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send the task of every active tenant in which something is due; returns how many."""
    found = tenants_where(tenant_ids(), escalation.due_rows(), delivery.due_rows())
    for tenant_id in found:
        of_tenant.apply_async((str(tenant_id),), expires=EXPIRES)
    return len(found)


@shared_task(name="notifications.forget")  # type: ignore[untyped-decorator]
def forget() -> None:
    """Once a day: send every tenant's own task that forgets what is old."""
    for tenant_id in tenant_ids(active_only=False):
        forget_in_tenant.apply_async((str(tenant_id),))


@tenant_task(name="notifications.forget.tenant")
def forget_in_tenant(tenant_id: str) -> int:
    return services.forget_old()
