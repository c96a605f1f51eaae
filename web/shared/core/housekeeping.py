"""What has had its day is thrown away, every hour: idempotency answers, sessions, refresh tokens.

One task per tenant, each naming it; the shared tables in a task of their own. Deleting late does no harm:
readers look at the dates themselves.
"""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.apps import apps
from django.utils import timezone

from web.shared.api import request_log
from web.shared.api.idempotency import KEPT
from web.shared.core import jobs
from web.shared.core.event_tasks import forget_old
from web.shared.core.tasks import tenant_task
from web.shared.core.webhooks.services import forget_old as deliveries_forget_old
from web.shared.tenants.context import public_context
from web.shared.tenants.queries import tenant_ids

LONG_REVOKED = timedelta(days=30)


@shared_task(name="housekeeping")  # type: ignore[untyped-decorator]
def everything() -> None:
    """Clean the shared tables and send every tenant's own task."""
    shared_tables()
    for tenant_id in tenant_ids(active_only=False):
        of_tenant.delay(tenant_id)


@tenant_task(name="housekeeping.tenant")
def of_tenant(tenant_id: str) -> int:
    """Forget answers to requests, domain events, deliveries and jobs that have had their day; how many."""
    keys = apps.get_model("records", "IdempotencyKey").objects
    count, _ = keys.filter(created_at__lt=timezone.now() - KEPT).delete()
    return count + forget_old() + deliveries_forget_old() + jobs.forget_old()


def shared_tables() -> None:
    """Forget sessions that ended, token families of no use, old lines of the API's log."""
    now = timezone.now()
    request_log.forget_old()
    with public_context():
        apps.get_model("accounts", "Session").objects.filter(expire_date__lt=now).delete()
        apps.get_model("accounts", "RefreshToken").objects.filter(expires_at__lt=now).delete()
        families = apps.get_model("accounts", "TokenFamily").objects
        families.filter(tokens=None, created_at__lt=now - LONG_REVOKED).delete()
