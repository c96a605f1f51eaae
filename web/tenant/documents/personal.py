"""What documents keep about a contact: how it is erased, exported, moved in a merge, and put back."""

from __future__ import annotations

import uuid
from typing import Any

from web.shared.core import audit
from web.shared.core.actor import Actor
from web.tenant.documents import storage
from web.tenant.documents.models import Document, DocumentVersion

ERASED = "erased"


def erase(contact_id: uuid.UUID, actor: Actor) -> int:
    """Bytes, names, descriptions and tags of the contact's documents go; ids, sizes and times stay."""
    documents = list(Document.all_objects.select_for_update().filter(contact=contact_id))
    for document in documents:
        for version in DocumentVersion.objects.filter(document=document):
            storage.remove(version.file_path)
        DocumentVersion.objects.filter(document=document).update(
            original_filename=ERASED, file_path="", sha256=""
        )
        document.filename = document.original_filename = ERASED
        document.description, document.file_path, document.tags = "", "", []
        document.is_deleted = True
        document.save()
        audit.record(actor=actor, action="erase", obj=document)
    return len(documents)


def export(contact_id: uuid.UUID) -> list[dict[str, Any]]:
    return [
        {
            "id": str(row.pk),
            "filename": row.filename,
            "description": row.description,
            "mime_type": row.mime_type,
            "size": row.size,
            "created_at": row.created_at.isoformat(),
        }
        for row in Document.objects.filter(contact=contact_id).order_by("created_at")
    ]


def move(from_id: uuid.UUID, to_id: uuid.UUID) -> list[str]:
    moved = [str(pk) for pk in Document.all_objects.filter(contact=from_id).values_list("pk", flat=True)]
    Document.all_objects.filter(pk__in=moved).update(contact=to_id)
    return [str(from_id), *moved] if moved else []


def undo(record: list[str]) -> None:
    if record:
        Document.all_objects.filter(pk__in=record[1:]).update(contact=record[0])
