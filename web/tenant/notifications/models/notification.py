"""What one person was told, and each way it went to them.

One Notification per person and event, held by the database: events are handed on at least once. `contact` is
the id of the person whom the text may name, so that erasing them reaches it. A delivery is an outbox row:
`next_at` says when it is tried next, whatever the reason to wait (quiet hours, a digest, a failure).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from web.shared.core.models import BaseModel, TimestampedModel, UUIDModel
from web.tenant.notifications.choices import Channel, DeliveryState


class Notification(BaseModel):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    title = models.CharField(max_length=200)
    message = models.TextField(blank=True)
    notification_type = models.CharField(max_length=64)
    entity_type = models.CharField(max_length=50, blank=True)
    entity_id = models.UUIDField(null=True, blank=True)
    contact = models.UUIDField(null=True, blank=True, editable=False)
    is_read = models.BooleanField(default=False)
    read_at = models.DateTimeField(null=True, blank=True, editable=False)
    channel = models.CharField(max_length=20, choices=Channel.choices)
    delivery_status = models.CharField(
        max_length=20, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    is_urgent = models.BooleanField(default=False)
    event_id = models.UUIDField(null=True, blank=True, editable=False)
    rule = models.ForeignKey(
        "notifications.NotificationRule",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    escalation = models.ForeignKey(
        "notifications.Escalation",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="notifications",
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["user", "event_id"],
                condition=Q(event_id__isnull=False),
                name="told_once_of_an_event",
            )
        ]
        indexes = [
            models.Index(fields=["user", "created_at", "id"], name="notification_by_user"),
            models.Index(
                fields=["user"], condition=Q(is_read=False, is_deleted=False), name="notification_unread"
            ),
            models.Index(
                fields=["contact"], condition=Q(contact__isnull=False), name="notification_by_contact"
            ),
        ]


class NotificationDelivery(UUIDModel, TimestampedModel):
    """`step`: 0 for the first time, n for the n-th step of an escalation. `error` is a code, no text."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    step = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=20, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    in_digest = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=50, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["notification", "channel", "step"], name="one_delivery_per_channel_and_step"
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="pending"), name="delivery_due"),
        ]
