"""Celery: sending what is queued and waking what sleeps. Beat sends `communications.sweep` twice a minute."""

from __future__ import annotations

from celery import shared_task

from web.shared.core.tasks import tenant_task
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids
from web.tenant.communications import sending

EXPIRES = 60


@tenant_task(name="communications.send")
def send_one(tenant_id: str, interaction_id: str) -> bool:
    return sending.send(interaction_id)


@tenant_task(name="communications.due")
def of_tenant(tenant_id: str) -> dict[str, int]:
    """Try every message that is due and wake every conversation that has slept; how many of each."""
    woken = sending.wake_due()
    return {"woken": woken, "sent": sum(sending.send(pk) for pk in sending.due())}


@shared_task(name="communications.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send the task of every active tenant in which something is due; returns how many."""
    found = tenants_where(tenant_ids(), sending.due_rows(), sending.sleepers_due())
    for tenant_id in found:
        of_tenant.apply_async((str(tenant_id),), expires=EXPIRES)
    return len(found)
