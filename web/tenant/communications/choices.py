"""Fixed lists of communications, and which state may follow which."""

from __future__ import annotations

from django.db import models


class ChannelType(models.TextChoices):
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "E-mail"
    WEBCHAT = "webchat", "Web chat"
    FACEBOOK = "facebook", "Facebook Messenger"
    TWITTER = "twitter", "Twitter DM"
    INSTAGRAM = "instagram", "Instagram DM"


class Direction(models.TextChoices):
    INBOUND = "inbound", "Inbound"
    OUTBOUND = "outbound", "Outbound"


class ConversationStatus(models.TextChoices):
    OPEN = "open", "Open: it is our turn"
    PENDING = "pending", "Pending: it is their turn"
    SNOOZED = "snoozed", "Snoozed until an hour"
    RESOLVED = "resolved", "Resolved"


class Delivery(models.TextChoices):
    RECEIVED = "received", "Received"
    QUEUED = "queued", "Queued"
    SENT = "sent", "Sent"
    DELIVERED = "delivered", "Delivered"
    READ = "read", "Read"
    FAILED = "failed", "Failed"


class TextFormat(models.TextChoices):
    TEXT = "text", "Plain text"
    HTML = "html", "HTML"


class SegmentEnd(models.TextChoices):
    REASSIGNED = "reassigned", "Given to somebody else"
    RELEASED = "released", "Given back"
    RESOLVED = "resolved", "Resolved"


STATUS_AFTER: dict[str, frozenset[str]] = {
    "open": frozenset({"pending", "snoozed", "resolved"}),
    "pending": frozenset({"open", "snoozed", "resolved"}),
    "snoozed": frozenset({"open", "pending", "resolved"}),
    "resolved": frozenset({"open"}),
}
DELIVERY_AFTER: dict[str, frozenset[str]] = {
    "received": frozenset(),
    "queued": frozenset({"sent", "delivered", "read", "failed"}),
    "sent": frozenset({"delivered", "read", "failed"}),
    "delivered": frozenset({"read"}),
    "read": frozenset(),
    "failed": frozenset(),
}
