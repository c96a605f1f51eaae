"""Who may see which conversation, and what others ask about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from web.shared.core.timeline import Entry
from web.shared.core.viewer import Viewer
from web.tenant.communications import channel_types
from web.tenant.communications.choices import ConversationStatus
from web.tenant.communications.models import Conversation, Interaction
from web.tenant.communications.permissions import VIEW
from web.tenant.contacts import queries as contacts


def visible(queryset: QuerySet[Conversation], viewer: Viewer, code: str = VIEW) -> QuerySet[Conversation]:
    """By scope of whom it is assigned to; what is nobody's yet is everybody's to take."""
    condition = viewer.condition(code, "assigned_to")
    if condition is None:
        return queryset.none()
    if not condition:
        return queryset
    waiting = Q(assigned_to=None) & ~Q(status=ConversationStatus.RESOLVED)
    return queryset.filter(condition | waiting)


def visible_interactions(
    queryset: QuerySet[Interaction], viewer: Viewer, code: str = VIEW
) -> QuerySet[Interaction]:
    """The messages of the conversations that this viewer may see."""
    queryset = queryset.filter(conversation__is_deleted=False)
    condition = viewer.condition(code, "assigned_to")
    if condition == Q():
        return queryset
    return queryset.filter(conversation__in=visible(Conversation.objects.all(), viewer, code).values("pk"))


def address_of(conversation: Conversation) -> str:
    """Where messages of this conversation go; empty when the provider knows by other means."""
    if conversation.address:
        return conversation.address
    reach = channel_types.KINDS[conversation.channel.type].reach
    if reach == "text":
        return contacts.primary_number(conversation.contact_id)
    return contacts.email_of(conversation.contact_id) if reach == "email" else ""


def facts(row: Conversation) -> dict[str, Any]:
    """What conditions may ask about a conversation."""
    return {
        "status": row.status,
        "channel_type": row.channel.type,
        "assigned_to": str(row.assigned_to_id) if row.assigned_to_id else None,
        "has_case": row.case_id is not None,
        "answered": row.first_response_at is not None,
    }


def timeline_of(field: str) -> Any:
    """A provider of the timeline of `field` ("case" or "contact"): an entry for each message, no text."""

    def entries(pk: UUID, viewer: Viewer, before: tuple[datetime, str] | None, limit: int) -> list[Entry]:
        rows = visible_interactions(Interaction.objects.filter(**{field: pk}), viewer)
        if before is not None:
            rows = rows.filter(Q(timestamp__lt=before[0]) | Q(timestamp=before[0], id__lt=before[1]))
        return [
            Entry(
                at=row.timestamp,
                kind="message",
                id=row.pk,
                actor_id=row.created_by_id,
                data={
                    "conversation": str(row.conversation_id),
                    "direction": row.direction,
                    "delivery_status": row.delivery_status,
                },
            )
            for row in rows.order_by("-timestamp", "-id")[:limit]
        ]

    return entries
