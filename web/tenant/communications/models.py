"""Written communication: channels, conversations, what was said in them, templates.

A conversation is one person on one channel; whose it is changes, and each stretch of ownership is a segment
of its own, so that time is counted for who had it. An interaction is one message. What comes in carries the
provider's id, unique within its channel, so that a message delivered to us twice is stored once.

A channel's secrets lie sealed beside its configuration and are never shown.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.shared.core.validators import check_object
from web.tenant.communications.choices import (
    ChannelType,
    ConversationStatus,
    Delivery,
    Direction,
    SegmentEnd,
    TextFormat,
)

MAX_CONTENT = 50_000
MAX_ATTACHMENTS = 20


class Channel(BaseModel):
    event_name = "channel"

    name = models.CharField(max_length=100)
    type = models.CharField(max_length=50, choices=ChannelType.choices)
    configuration = models.JSONField(default=dict, blank=True, validators=[check_object])
    secrets = models.BinaryField(null=True, editable=False, help_text="Sealed; see channel_types.")
    secret_names = models.JSONField(default=list, editable=False)
    is_active = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(is_deleted=False), name="one_channel_per_name"
            )
        ]

    def event_data(self) -> dict[str, Any]:
        return {"channel_type": self.type, "is_active": self.is_active}


class Conversation(BaseModel):
    event_name = "conversation"

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="conversations")
    contact = models.ForeignKey("contacts.Contact", on_delete=models.CASCADE, related_name="conversations")
    case = models.ForeignKey(
        "cases.Case", on_delete=models.SET_NULL, null=True, blank=True, related_name="conversations"
    )
    subject = models.CharField(max_length=255, blank=True)
    address = models.CharField(
        max_length=254,
        blank=True,
        help_text="Where the other side is: a number, an e-mail address, a handle.",
    )
    status = models.CharField(
        max_length=20, choices=ConversationStatus.choices, default=ConversationStatus.OPEN
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    last_interaction = models.DateTimeField()
    last_inbound_at = models.DateTimeField(null=True, blank=True, editable=False)
    first_response_at = models.DateTimeField(null=True, blank=True, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta(BaseModel.Meta):
        indexes = [
            models.Index(fields=["last_interaction", "id"], name="conversation_by_last"),
            models.Index(fields=["assigned_to", "status", "last_interaction"], name="conversation_by_owner"),
            models.Index(fields=["contact", "channel", "last_interaction"], name="conversation_by_contact"),
            models.Index(fields=["case", "last_interaction"], name="conversation_by_case"),
            models.Index(
                fields=["snoozed_until"],
                name="conversation_to_wake",
                condition=models.Q(status=ConversationStatus.SNOOZED.value),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status=ConversationStatus.SNOOZED.value, snoozed_until__isnull=False)
                | (~models.Q(status=ConversationStatus.SNOOZED.value) & models.Q(snoozed_until__isnull=True)),
                name="snoozed_until_an_hour",
            )
        ]

    def event_data(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "channel": str(self.channel_id),
            "contact": str(self.contact_id),
            "case": str(self.case_id) if self.case_id else None,
            "assigned_to": str(self.assigned_to_id) if self.assigned_to_id else None,
        }


class ConversationSegment(models.Model):
    """One stretch of ownership."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="segments")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(max_length=12, choices=SegmentEnd.choices, blank=True)

    class Meta:
        ordering = ["started_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=models.Q(ended_at__isnull=True), name="one_owner_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"Segment {self.pk}"


class MessageTemplate(BaseModel):
    event_name = "message_template"

    name = models.CharField(max_length=100)
    channel_type = models.CharField(max_length=50, choices=ChannelType.choices)
    language = models.CharField(max_length=10, default="en", blank=True)
    format = models.CharField(max_length=4, choices=TextFormat.choices, default=TextFormat.TEXT)
    subject = models.CharField(max_length=255, blank=True)
    content = models.TextField(max_length=MAX_CONTENT)
    variables = models.JSONField(default=list, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["name", "channel_type", "language"],
                condition=models.Q(is_deleted=False),
                name="one_template_per_name",
            )
        ]


class Interaction(BaseModel):
    """One message. `attachments` are ids of documents."""

    event_name = "interaction"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="interactions")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="interactions")
    contact = models.ForeignKey("contacts.Contact", on_delete=models.CASCADE, related_name="interactions")
    case = models.ForeignKey(
        "cases.Case", on_delete=models.SET_NULL, null=True, blank=True, related_name="interactions"
    )
    direction = models.CharField(max_length=20, choices=Direction.choices)
    subject = models.CharField(max_length=255, blank=True)
    content = models.TextField(blank=True, max_length=MAX_CONTENT)
    format = models.CharField(max_length=4, choices=TextFormat.choices, default=TextFormat.TEXT)
    template = models.ForeignKey(
        MessageTemplate, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    timestamp = models.DateTimeField()
    external_id = models.CharField(
        max_length=255, blank=True, validators=[RegexValidator(r"\A[\x20-\x7e]*\Z", "Printable ASCII.")]
    )
    metadata = models.JSONField(default=dict, blank=True, validators=[check_object])
    attachments = models.JSONField(default=list, blank=True)

    delivery_status = models.CharField(max_length=10, choices=Delivery.choices)
    delivery_changed_at = models.DateTimeField()
    failure = models.CharField(max_length=60, blank=True, help_text="A code, never a provider's text.")
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    next_try_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "external_id"],
                condition=~models.Q(external_id=""),
                name="one_interaction_per_external_id",
            )
        ]
        indexes = [
            models.Index(fields=["conversation", "timestamp", "id"], name="interaction_by_conversation"),
            models.Index(fields=["contact", "timestamp"], name="interaction_by_contact"),
            models.Index(fields=["case", "timestamp"], name="interaction_by_case"),
            models.Index(fields=["timestamp", "id"], name="interaction_by_time"),
            models.Index(
                fields=["next_try_at"],
                name="interaction_to_send",
                condition=models.Q(delivery_status=Delivery.QUEUED.value),
            ),
        ]

    def event_data(self) -> dict[str, Any]:
        return {
            "conversation": str(self.conversation_id),
            "channel": str(self.channel_id),
            "contact": str(self.contact_id),
            "case": str(self.case_id) if self.case_id else None,
            "direction": self.direction,
            "delivery_status": self.delivery_status,
        }
