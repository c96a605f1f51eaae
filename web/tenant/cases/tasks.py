"""What cases do by themselves: leases that end, clocks that run out, folding and indexing that was asked for.

`cases.sweep` sends its own task to every active tenant in which something is due. Each part looks in
PostgreSQL for what that is, so a task that is lost or sent twice does no harm.
"""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from web.shared.core.tasks import tenant_task
from web.shared.tenants.context import tenant_context
from web.shared.tenants.queries import tenant_ids
from web.tenant.cases import search
from web.tenant.cases.services import escalating, sla
from web.tenant.cases.services.assigning import leases_due, leases_expire

PORTIONS = 20


@shared_task(name="cases.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send the task of every active tenant in which something is due; returns how many."""
    count = 0
    for tenant_id in tenant_ids():
        with tenant_context(tenant_id):
            due = is_anything_due(tenant_id)
        if due:
            sweep_tenant.delay(tenant_id)
            count += 1
    return count


def is_anything_due(tenant_id: str) -> bool:
    """Whether a round would find something in the tenant that is chosen."""
    if leases_due(timezone.now()).exists() or escalating.is_anything_due():
        return True
    return sla.refold_waits() or search.is_stale(tenant_id)


@tenant_task(name="cases.sweep_tenant")
def sweep_tenant(tenant_id: str) -> dict[str, int]:
    """One round for one tenant; returns how much of each was done."""
    done = {"leases": leases_expire(), "told": escalating.tell_due(), "refolded": 0, "indexed": 0}
    for _ in range(PORTIONS):
        count = sla.refold_some()
        done["refolded"] += count
        if not count:
            break
    done["indexed"] = search.reindex_some(tenant_id)
    return done
