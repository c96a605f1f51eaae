"""What cases do by themselves: leases that end, clocks that run out, folding and indexing that was asked for.

`cases.sweep` sends its own task to every active tenant in which something is due. Each part looks in
PostgreSQL for what that is, so a task that is lost or sent twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence

from celery import shared_task
from django.utils import timezone

from web.shared.core.tasks import tenant_task
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.ids import TenantId
from web.shared.tenants.queries import tenant_ids
from web.tenant.cases import search
from web.tenant.cases.services import escalating, sla
from web.tenant.cases.services.assigning import leases_due, leases_expire

PORTIONS = 20


@shared_task(name="cases.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send the task of every active tenant in which something is due; returns how many."""
    found = due(tenant_ids())
    for tenant_id in found:
        sweep_tenant.delay(tenant_id)
    return len(found)


def due(ids: Sequence[str]) -> list[TenantId]:
    """In which of these tenants a round would find something."""
    now = timezone.now()
    return tenants_where(
        ids, leases_due(now), *escalating.due_rows(now), sla.refolds_waiting(), search.IS_STALE
    )


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
