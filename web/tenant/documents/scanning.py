"""The hook for a virus scanner, and what follows from its word.

`MURIMA_DOCUMENT_SCANNER` is a command that reads a file on its standard input and exits with 0 (clean) or 1
(infected), as `clamdscan -` does; anything else, or silence for longer than its deadline, is a failure and is
tried again, TRIES times. Without a command new versions are `skipped`. A version that waits, failed or is
infected is not handed out. The rows are the outbox: beat finds what a lost task left (`sweep`).
"""

from __future__ import annotations

import shlex
import subprocess
import uuid

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from web.shared.core import audit, events
from web.shared.core.actor import system
from web.shared.core.files import StorageAway
from web.shared.core.tasks import wake
from web.shared.tenants.context import current_tenant_id
from web.tenant.documents import storage
from web.tenant.documents.choices import ScanStatus
from web.tenant.documents.models import Document, DocumentVersion

TRIES = 5
CHUNK = 1 << 20

logger = structlog.get_logger(__name__)


def first_status() -> str:
    return (ScanStatus.PENDING if settings.DOCUMENT_SCANNER else ScanStatus.SKIPPED).value


def after_commit(version: uuid.UUID) -> None:
    """Ask a worker to scan; when that cannot be sent, beat's sweep finds the version."""
    tenant = str(current_tenant_id())

    def send() -> None:
        from web.tenant.documents.tasks import scan_version

        wake(scan_version, tenant, str(version), expires=None)

    transaction.on_commit(send, robust=True)


def scan(version_id: uuid.UUID) -> str:
    """Scan a version that waits; returns its status. Safe to run twice: only a waiting one is looked at."""
    version = DocumentVersion.objects.filter(pk=version_id, scan_status=ScanStatus.PENDING).first()
    if version is None:
        return ""
    try:
        verdict = _ask(version)
    except StorageAway:
        return ScanStatus.PENDING.value  # says nothing about the file, and counts as no try
    with transaction.atomic():
        locked = DocumentVersion.objects.select_for_update().get(pk=version_id)
        if locked.scan_status != ScanStatus.PENDING:
            return locked.scan_status
        locked.scan_tries += 1
        if verdict is None and locked.scan_tries < TRIES:
            locked.save(update_fields=["scan_tries"])
            return ScanStatus.PENDING.value
        locked.scan_status = (verdict or ScanStatus.FAILED).value
        locked.scanned_at = timezone.now()
        locked.save(update_fields=["scan_status", "scanned_at", "scan_tries"])
        _tell(locked)
    return locked.scan_status


def _tell(version: DocumentVersion) -> None:
    actor = system("scanner")
    said = {"version": version.number, "scan_status": version.scan_status}
    document = Document.all_objects.select_for_update().get(pk=version.document_id)
    if document.version == version.number:
        document.scan_status = version.scan_status
        document.save(update_fields=["scan_status"])
    audit.record(actor=actor, action="scan", obj=document, changes=said)
    events.emit("document.scanned", obj=document, actor=actor, data=said)


def _ask(version: DocumentVersion) -> ScanStatus | None:
    """The scanner's word, or None when it did not give one."""
    command = shlex.split(settings.DOCUMENT_SCANNER)
    try:
        with storage.open_bytes(version.file_path) as file:
            done = subprocess.run(
                command, input=file.read(), capture_output=True, check=False,
                timeout=settings.DOCUMENT_SCAN_SECONDS,
            )  # fmt: skip
    except StorageAway:
        raise
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("scanner_failed", error=type(error).__name__)
        return None
    return {0: ScanStatus.CLEAN, 1: ScanStatus.INFECTED}.get(done.returncode)
