"""What workers do for documents: scan, look for forgotten scans, sweep bytes without a row."""

from __future__ import annotations

import uuid
from datetime import timedelta

from celery import shared_task
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core.tasks import tenant_task
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids
from web.tenant.documents import scanning, storage
from web.tenant.documents.choices import ScanStatus
from web.tenant.documents.models import DocumentVersion

ORPHAN = timedelta(days=1)
"""How old bytes without a row must be: those of an upload that goes on have none yet either."""


@tenant_task(name="documents.scan")
def scan_version(tenant_id: str, version: str) -> str:
    return scanning.scan(uuid.UUID(version))


@tenant_task(name="documents.scan_waiting")
def scan_waiting(tenant_id: str) -> int:
    """Scan what waits, oldest first; returns how many."""
    waiting = _waiting().order_by("created_at")[:100]
    return sum(bool(scanning.scan(version.pk)) for version in waiting)


def _waiting() -> QuerySet[DocumentVersion]:
    return DocumentVersion.objects.filter(scan_status=ScanStatus.PENDING)


@shared_task(name="documents.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Send the task of each active tenant in which something waits."""
    for tenant_id in tenants_where(tenant_ids(active_only=True), _waiting()):
        scan_waiting.delay(tenant_id)


@tenant_task(name="documents.forget_orphans")
def forget_orphans(tenant_id: str) -> int:
    """Remove bytes that no version has: an upload died before its row was written. Returns how many."""
    known = set(DocumentVersion.objects.exclude(file_path="").values_list("file_path", flat=True))
    old = timezone.now() - ORPHAN
    orphans = [name for name in sorted(storage.names() - known) if storage.written_before(name, old)]
    for name in orphans:
        storage.remove(name)
    return len(orphans)


@shared_task(name="documents.orphans")  # type: ignore[untyped-decorator]
def orphans() -> None:
    """Send each active tenant its own task."""
    for tenant_id in tenant_ids(active_only=True):
        forget_orphans.delay(tenant_id)
