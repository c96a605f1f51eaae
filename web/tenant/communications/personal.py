"""What communications keep about a contact: erased, exported and moved with the contact (core.erasure).

Of a message the text, subject, metadata and the provider's id go, of a conversation the subject and the
address; when, on which channel and in which direction stay. Deleted rows are reached as well.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import F, Q

from web.shared.core import audit
from web.shared.core.actor import Actor
from web.tenant.communications.choices import Delivery
from web.tenant.communications.models import Conversation, Interaction


def erase(contact: UUID, actor: Actor) -> int:
    """Empty every text about this contact; a message that still waits to be sent is not sent."""
    messages = Interaction.all_objects.filter(Q(contact=contact) | Q(conversation__contact=contact))
    messages.filter(delivery_status=Delivery.QUEUED).update(
        delivery_status=Delivery.FAILED, failure="contact_erased", next_try_at=None
    )
    ids = list(messages.values_list("pk", flat=True))
    nothing = {"content": "", "subject": "", "metadata": {}, "external_id": "", "attachments": []}
    count = Interaction.all_objects.filter(pk__in=ids).update(**nothing, revision=F("revision") + 1)
    theirs = Conversation.all_objects.filter(contact=contact)
    count += theirs.update(subject="", address="", revision=F("revision") + 1)
    audit.record_many(actor=actor, action="erase", model=Interaction, objects=[(pk, {}) for pk in ids])
    return count


def export(contact: UUID) -> list[dict[str, Any]]:
    """The contact's messages, as plain values."""
    rows = Interaction.objects.filter(contact=contact).select_related("channel").order_by("timestamp", "pk")
    return [
        {
            "type": "message",
            "id": str(row.pk),
            "conversation": str(row.conversation_id),
            "channel": row.channel.type,
            "direction": row.direction,
            "at": row.timestamp.isoformat(),
            "subject": row.subject,
            "content": row.content,
            "delivery_status": row.delivery_status,
            "attachments": row.attachments,
        }
        for row in rows
    ]


def move(from_id: UUID, to_id: UUID) -> dict[str, Any]:
    """Give one contact's conversations and messages to another; returns what `put_back` needs."""
    record: dict[str, Any] = {"from": str(from_id), "to": str(to_id)}
    for name, model in _TABLES.items():
        rows = model.all_objects.select_for_update(of=("self",)).filter(contact=from_id).order_by("pk")
        record[name] = [str(row.pk) for row in rows]
        model.all_objects.filter(pk__in=record[name]).update(contact=to_id, revision=F("revision") + 1)
    return record


def put_back(record: dict[str, Any]) -> None:
    """Undo `move`, for the rows that are still the other's."""
    for name, model in _TABLES.items():
        rows = model.all_objects.filter(pk__in=record[name], contact=record["to"])
        rows.update(contact=record["from"], revision=F("revision") + 1)


_TABLES: dict[str, Any] = {"conversations": Conversation, "interactions": Interaction}
