"""What cases do by themselves: leases that end, clocks that run out, folding and indexing that was asked for.

`cases.sweep` sends every active tenant its own task. Each part looks in PostgreSQL for what is due, so a task
that is lost or sent twice does no harm.
"""

from __future__ import annotations

from celery import shared_task

from web.shared.core.tasks import tenant_task
from web.shared.tenants.queries import tenant_ids
from web.tenant.cases import search
from web.tenant.cases.services.assigning import leases_expire
from web.tenant.cases.services.escalating import tell_due
from web.tenant.cases.services.sla import refold_some

PORTIONS = 20


@shared_task(name="cases.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Send every tenant its task."""
    for tenant_id in tenant_ids():
        sweep_tenant.delay(tenant_id)


@tenant_task(name="cases.sweep_tenant")
def sweep_tenant(tenant_id: str) -> dict[str, int]:
    """One round for one tenant; returns how much of each was done."""
    done = {"leases": leases_expire(), "told": tell_due(), "refolded": 0, "indexed": 0}
    for _ in range(PORTIONS):
        count = refold_some()
        done["refolded"] += count
        if not count:
            break
    done["indexed"] = search.reindex_some(tenant_id)
    return done
