"""When webhooks are sent: right after an event, and from beat for whatever is due."""

from __future__ import annotations

from celery import shared_task
from django.db import ProgrammingError

from web.shared.core.tasks import tenant_task, wake
from web.shared.core.webhooks import sending
from web.shared.tenants.context import tenant_context
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
    found = 0
    for tenant_id in tenant_ids():
        try:
            with tenant_context(tenant_id):
                due = sending.due_exists()
        except ProgrammingError:  # a tenant that is just being made has no tables yet
            continue
        if due:
            send(tenant_id)
            found += 1
    return found
