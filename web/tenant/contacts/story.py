"""What contacts tell about themselves to others: entity, timeline, facts for conditions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Q, QuerySet

from web.shared.core import entities, timeline
from web.shared.core.timeline import Entry
from web.shared.core.viewer import Viewer
from web.tenant.contacts.models import Contact
from web.tenant.contacts.permissions import CONTACTS_VIEW

ACTIONS = ("create", "update", "delete", "merge", "unmerge", "hold", "release", "consent", "erase")


def register() -> None:
    entities.entity(
        "contact",
        model="contacts.Contact",
        code=CONTACTS_VIEW,
        facts=facts,
        contact=lambda row: row.pk,
    )
    timeline.provider("contact", "contacts", changes)


def facts(contact: Contact) -> dict[str, Any]:
    return {
        "language": contact.preferred_language,
        "preferred_contact_method": contact.preferred_contact_method,
        "tags": list(contact.tags),
        "is_anonymous": contact.is_anonymous,
        "is_active": contact.is_active,
        "legal_hold": contact.legal_hold,
    }


def changes(pk: UUID, viewer: Viewer, before: tuple[datetime, str] | None, limit: int) -> list[Entry]:
    """What was done to the contact, from the audit trail: fields and ids, no values."""
    if not viewer.may(CONTACTS_VIEW):
        return []
    rows: QuerySet[Any] = apps.get_model("records", "AuditEvent").objects.filter(
        object_type="contacts.contact", object_id=str(pk), action__in=ACTIONS
    )
    if before is not None:
        rows = rows.filter(Q(at__lt=before[0]) | Q(at=before[0], id__lt=before[1]))
    return [
        Entry(at=row.at, kind=f"contact.{row.action}", id=row.id, actor_id=row.actor_id, data=row.changes)
        for row in rows.order_by("-at", "-id")[:limit]
    ]
