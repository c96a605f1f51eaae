"""Writing documents.

The bytes are examined and stored before the row is written, under the new version's id; when the transaction
fails they are removed again, and what a crash left behind has no row and is swept (tasks.py). Names that
people gave to files are cleaned here: no path, no control or direction characters.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.accounts.queries import people_of
from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.files import StorageAway
from web.shared.core.ids import uuid7
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.quotas import quota_check
from web.tenant.documents import content, scanning, storage
from web.tenant.documents.choices import AccessType, ScanStatus
from web.tenant.documents.models import Document, DocumentAccess, DocumentVersion

_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')


def clean_name(name: str) -> str:
    """A file's name as people may see it: the last part of a path, printable, at most 255 characters."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    name = _UNSAFE.sub("_", name).strip(" .")
    if len(name) > 255:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[: 254 - len(ending)]}.{ending}" if dot and len(ending) < 20 else name[:255]
    return name or "document"


def document_create(*, actor: Actor, file: BinaryIO, filename: str, values: Mapping[str, Any]) -> Document:
    """A document with its first version. ValidationError about `file` when the content is refused."""
    found = _examined(file)
    version_id, name = uuid7(), clean_name(filename)
    path = storage.store(file, version_id)
    with _bytes_go_when_it_fails(path), transaction.atomic():
        document = base.create(
            Document,
            actor=actor,
            values={
                "filename": name,
                **values,
                "original_filename": name,
                "file_path": path,
                "mime_type": found.mime_type,
                "size": found.size,
                "scan_status": scanning.first_status(),
            },
        )
        _version(document, version_id, name, path, found, actor)
    return document


def version_add(*, actor: Actor, document: Document, file: BinaryIO, filename: str) -> DocumentVersion:
    """A new version; the document then shows it."""
    found = _examined(file)
    version_id, name = uuid7(), clean_name(filename)
    path = storage.store(file, version_id)
    with _bytes_go_when_it_fails(path), transaction.atomic():
        locked = base.lock(Document.objects.all(), pk=document.pk)
        locked.version += 1
        locked.original_filename, locked.file_path = name, path
        locked.mime_type, locked.size = found.mime_type, found.size
        locked.scan_status = scanning.first_status()
        locked.updated_by_id = actor.user_id
        locked.save()
        version = _version(locked, version_id, name, path, found, actor)
        audit.record(actor=actor, action="add_version", obj=locked, changes={"version": version.number})
        events.emit("document.version_added", obj=locked, actor=actor, data={"version": version.number})
    return version


def document_update(*, actor: Actor, document: Document, values: Mapping[str, Any]) -> Document:
    if "filename" in values:
        values = {**values, "filename": clean_name(values["filename"])}
    return base.update(document, actor=actor, values=values)


def document_delete(*, actor: Actor, document: Document) -> Document:
    """Out of sight; the bytes go with the retention or an erasure."""
    return base.soft_delete(document, actor=actor)


def access_grant(
    *,
    actor: Actor,
    document: Document,
    user_id: uuid.UUID,
    access_type: str = AccessType.VIEW,
    expires_at: datetime | None = None,
) -> DocumentAccess:
    """Give a member of this organisation access."""
    _check_expiry(expires_at)
    if not people_of(str(current_tenant_id())).filter(user_id=user_id, user__is_active=True).exists():
        unknown = ValidationError("There is no such person in this organisation.", code="does_not_exist")
        raise ValidationError({"user": unknown})
    with transaction.atomic():
        base.lock(Document.objects.all(), pk=document.pk)
        if DocumentAccess.objects.filter(document=document, user_id=user_id).exists():
            raise base.refuse(user="This person has access already; change that instead.")
        values = {"document": document, "user_id": user_id, "access_type": access_type,
                  "expires_at": expires_at, "granted_by_id": actor.user_id}  # fmt: skip
        grant = base.create(DocumentAccess, actor=actor, values=values)
        said = {"user": str(user_id), "access_type": access_type}
        events.emit("document.shared", obj=document, actor=actor, data=said)
    return grant


def access_update(*, actor: Actor, grant: DocumentAccess, values: Mapping[str, Any]) -> DocumentAccess:
    _check_expiry(values.get("expires_at"))
    return base.update(grant, actor=actor, values=values)


def access_revoke(*, actor: Actor, grant: DocumentAccess) -> None:
    with transaction.atomic():
        base.soft_delete(grant, actor=actor)
        data = {"user": str(grant.user_id)}
        events.emit("document.unshared", obj=grant.document, actor=actor, data=data)


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= timezone.now():
        raise base.refuse(expires_at="This moment is over.")


def _examined(file: BinaryIO) -> content.Examined:
    size = getattr(file, "size", 0)
    if size > settings.DOCUMENT_MAX_BYTES:
        raise base.refuse(file=f"At most {settings.DOCUMENT_MAX_BYTES // 1_000_000} MB.")
    quota_check(str(current_tenant_id()), "storage_bytes", size)
    try:
        return content.examine(file)
    except content.Unacceptable as wrong:
        raise base.refuse(file=str(wrong)) from None


def _version(
    document: Document, pk: uuid.UUID, name: str, path: str, found: content.Examined, actor: Actor
) -> DocumentVersion:
    version = DocumentVersion.objects.create(
        id=pk,
        document=document,
        number=document.version,
        original_filename=name,
        file_path=path,
        mime_type=found.mime_type,
        size=found.size,
        sha256=found.sha256,
        scan_status=document.scan_status,
        uploaded_by_id=actor.user_id,
    )
    if version.scan_status == ScanStatus.PENDING:
        scanning.after_commit(version.pk)
    return version


class _bytes_go_when_it_fails:  # noqa: N801 - reads as what it does
    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with contextlib.suppress(StorageAway):  # then they are swept
                storage.remove(self._path)
