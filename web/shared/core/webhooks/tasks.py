"""When webhooks are sent: right after an event, and from beat for whatever is due."""

from __future__ import annotations

from celery import shared_task

from web.shared.core.tasks import tenant_task, wake
from web.shared.core.webhooks import sending
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids

ROUNDS = 20
"""So many rounds one task does at most; what is left is swept up."""


@tenant_task(name="webhooks.deliver")
def deliver(tenant_id: str) -> int:
    """Send what is due; returns how many were tried."""
    tried = 0
    for _ in range(ROUNDS):
        count = sending.send_due(tenant_id)
        tried += count
        if not count:
            break
    return tried


def send(tenant_id: str) -> None:
    """Ask a worker; the sweep finds what is due when nobody could be asked."""
    wake(deliver, tenant_id)


@shared_task(name="webhooks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Wake every tenant that has something due; returns how many had."""
    found = tenants_where(tenant_ids(), sending.due_rows())
    for tenant_id in found:
        send(tenant_id)
    return len(found)
