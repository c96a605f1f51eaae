"""Where events are sent to, and each sending; see web.shared.core.webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel

MAX_TYPES = 100


def check_types(value: Any) -> None:
    """A list of declared event types, of `<object>.*`, or `*` for everything."""
    from web.shared.core.events import catalogue

    if not isinstance(value, list) or not 0 < len(value) <= MAX_TYPES:
        raise ValidationError(f"A list of 1 to {MAX_TYPES} event types.", code="invalid")
    kinds = {name.partition(".")[0] for name in catalogue}
    for one in value:
        if one == "*" or one in catalogue:
            continue
        if not isinstance(one, str) or not one.endswith(".*") or one[:-2] not in kinds:
            raise ValidationError("There is no such event type; see /api/v1/events/types/.", code="unknown")


class WebhookEndpoint(BaseModel):
    """`secret` and `previous_secret` are sealed; the previous one signs along until `previous_until`."""

    event_name = "webhook"

    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    event_types = models.JSONField(default=list, validators=[check_types])
    is_active = models.BooleanField(default=True)
    secret = models.BinaryField(editable=False)
    previous_secret = models.BinaryField(editable=False, default=bytes, blank=True)
    previous_until = models.DateTimeField(editable=False, null=True, blank=True)
    failing_since = models.DateTimeField(editable=False, null=True, blank=True)
    disabled_because = models.CharField(max_length=20, blank=True, editable=False)

    def event_data(self) -> dict[str, Any]:
        return {"is_active": self.is_active}

    def wants(self, kind: str) -> bool:
        """Whether an event of this type is for this endpoint."""
        return any(one in ("*", kind, f"{kind.partition('.')[0]}.*") for one in self.event_types)

    def previous_is_valid(self, now: datetime) -> bool:
        return self.previous_until is not None and now < self.previous_until


class DeliveryStatus(models.TextChoices):
    PENDING = "pending", "Will be sent"
    DELIVERED = "delivered", "Taken by the receiver"
    FAILED = "failed", "Given up"


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint. While it is being sent, others may try from `next_at` on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=64)
    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT", "UPDATE", "DELETE")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint", "event_id"], name="one_delivery_each")]
        indexes = [
            models.Index(
                fields=["next_at"], condition=models.Q(status="pending"), name="webhook_delivery_due"
            ),
            models.Index(fields=["endpoint", "created_at", "id"], name="webhook_delivery_by_endpoint"),
            models.Index(fields=["created_at"], name="webhook_delivery_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.pk}"
