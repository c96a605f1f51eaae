"""When the outbox is emptied, deadlines are looked at, and old logs go: right after a commit, and from beat.

`workflows.sweep` finds every tenant with something due.
"""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core.tasks import tenant_task, wake
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids
from web.tenant.workflows import outbox, running
from web.tenant.workflows.choices import RunStatus
from web.tenant.workflows.models import ActionRun, RuleRun, WorkflowInstance

KEPT = timedelta(days=30)


def wake_worker(tenant_id: str) -> None:
    """Ask a worker to do this tenant's actions now."""
    wake(run_actions, tenant_id)


@tenant_task(name="workflows.actions")
def run_actions(tenant_id: str) -> int:
    """Do what is due; returns how many actions were looked at."""
    return outbox.run_due()


@tenant_task(name="workflows.tenant")
def of_tenant(tenant_id: str) -> int:
    """Overdue stages, then actions."""
    return running.report_overdue() + outbox.run_due()


@shared_task(name="workflows.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Send the task of every tenant that has something due; returns how many had."""
    due = tenants_where(tenant_ids(active_only=False), *_due_rows())
    for tenant_id in due:
        of_tenant.apply_async((tenant_id,), expires=60)
    return len(due)


def _due_rows() -> tuple[QuerySet[ActionRun], QuerySet[WorkflowInstance]]:
    now = timezone.now()
    overdue = WorkflowInstance.objects.filter(completed_at=None, overdue_at=None)
    return (
        ActionRun.objects.filter(status=RunStatus.PENDING, not_before__lte=now),
        overdue.filter(stage_deadline__lte=now),
    )


@tenant_task(name="workflows.forget")
def forget_old(tenant_id: str) -> int:
    """Remove the log of rules, and actions that are over, after KEPT; returns how many rows went."""
    before = timezone.now() - KEPT
    over = ActionRun.objects.exclude(status=RunStatus.PENDING)
    actions, _ = over.filter(created_at__lt=before).delete()
    runs, _ = RuleRun.objects.filter(at__lt=before).exclude(actions__status=RunStatus.PENDING).delete()
    return actions + runs


@shared_task(name="workflows.housekeeping")  # type: ignore[untyped-decorator]
def housekeeping() -> None:
    """Send every tenant's `forget_old`."""
    for tenant_id in tenant_ids(active_only=False):
        forget_old.apply_async((tenant_id,), expires=3600)
