"""Workers take jobs up: right after they were started, and from beat for whatever nobody does."""

from __future__ import annotations

from celery import shared_task

from web.shared.core import jobs
from web.shared.core.tasks import tenant_task, wake
from web.shared.tenants.context import tenant_context
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids

LONGEST_SECONDS = 3300
"""A worker may hold a job so long; it must be less than the broker's visibility time-out of an hour."""


@tenant_task(name="jobs.run", time_limit=LONGEST_SECONDS)
def run(tenant_id: str, job_id: str) -> str:
    return jobs.run(job_id)


def send(tenant_id: str, job_id: str) -> None:
    """Ask a worker to take it up; the sweep finds it when nobody could be asked."""
    wake(run, tenant_id, job_id, expires=None)


@shared_task(name="jobs.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send every job that was never begun or whose worker died; returns how many."""
    sent = 0
    for tenant_id in tenants_where(tenant_ids(active_only=False), jobs.waiting_rows()):
        with tenant_context(tenant_id):
            found = jobs.waiting()
        for pk in found:
            send(tenant_id, str(pk))
        sent += len(found)
    return sent
