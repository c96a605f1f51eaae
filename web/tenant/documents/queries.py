"""Who may see, download and change which document.

Somebody sees a document that is their own, was granted to them, is public, or hangs on a case that they may
see; with scope ALL, every one. A document of a case that is hidden from them is hidden in any case, unless it
was granted to them or is their own upload.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from web.shared.accounts.registry import Scope
from web.shared.core import entities, files, timeline
from web.shared.core.viewer import Viewer
from web.tenant.documents import storage
from web.tenant.documents.choices import AccessType
from web.tenant.documents.models import Document, DocumentAccess, DocumentVersion
from web.tenant.documents.permissions import DOCUMENTS_EDIT, DOCUMENTS_VIEW

_ENOUGH = {
    AccessType.VIEW: (AccessType.VIEW, AccessType.DOWNLOAD, AccessType.EDIT),
    AccessType.DOWNLOAD: (AccessType.DOWNLOAD, AccessType.EDIT),
    AccessType.EDIT: (AccessType.EDIT,),
}


def visible(
    queryset: QuerySet[Document], viewer: Viewer, access: AccessType = AccessType.VIEW
) -> QuerySet[Document]:
    """The documents of `queryset` that this person may see, download or edit, as `access` says."""
    code = DOCUMENTS_EDIT if access is AccessType.EDIT else DOCUMENTS_VIEW
    scope = viewer.scope(code)
    if scope is None:
        return queryset.none()
    given = Exists(_grants(viewer.user_id).filter(document=OuterRef("pk"), access_type__in=_ENOUGH[access]))
    mine = Q(created_by=viewer.user_id) | Q(given) if viewer.user_id else Q(pk__in=[])
    if scope is Scope.TEAM:
        mine |= Q(created_by__in=viewer.team)
    in_case = entities.may_be_seen("case", "case_id", viewer)
    if scope is Scope.ALL:
        return queryset.filter(mine | Q(case=None) | in_case)
    public = Q(is_public=True, case=None) if access is not AccessType.EDIT else Q(pk__in=[])
    return queryset.filter(mine | in_case | public)


def may(document: Document, viewer: Viewer, access: AccessType) -> bool:
    return visible(Document.objects.filter(pk=document.pk), viewer, access).exists()


def _grants(user_id: uuid.UUID | None) -> QuerySet[DocumentAccess]:
    return DocumentAccess.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), user=user_id)


def version_of(document: Document, number: int | None) -> DocumentVersion | None:
    """A version by its number, the newest without one."""
    rows = DocumentVersion.objects.filter(document=document)
    return rows.filter(number=number if number is not None else document.version).first()


def bytes_elsewhere() -> int:
    """Bytes of all versions of this tenant that were not erased, when they lie on no disk of ours."""
    if storage.AREA not in files.elsewhere():
        return 0
    kept = DocumentVersion.objects.exclude(file_path="")
    return int(kept.aggregate(total=Sum("size"))["total"] or 0)


def _entries(
    field: str, pk: uuid.UUID, viewer: Viewer, before: tuple[datetime, str] | None, limit: int
) -> list[timeline.Entry]:
    rows = visible(Document.objects.filter(**{field: pk}), viewer)
    if before is not None:
        rows = rows.filter(Q(created_at__lt=before[0]) | Q(created_at=before[0], pk__lt=before[1]))
    return [
        timeline.Entry(
            at=row.created_at,
            kind="document",
            id=row.pk,
            actor_id=row.created_by_id,
            data={"filename": row.filename, "mime_type": row.mime_type, "size": row.size},
        )
        for row in rows.order_by("-created_at", "-pk")[:limit]
    ]


def of_case(
    pk: uuid.UUID, viewer: Viewer, before: tuple[datetime, str] | None, limit: int
) -> list[timeline.Entry]:
    return _entries("case", pk, viewer, before, limit)


def of_contact(
    pk: uuid.UUID, viewer: Viewer, before: tuple[datetime, str] | None, limit: int
) -> list[timeline.Entry]:
    return _entries("contact", pk, viewer, before, limit)
