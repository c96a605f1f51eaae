"""Domain events, how far each consumer has come, and what nobody could take; see web.shared.core.events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from web.shared.core.fields import CurrentTransaction, TransactionId
from web.shared.core.ids import uuid7


class DomainEvent(models.Model):
    """One thing that became true; see web.shared.core.events. Append-only until its 30 days are over."""

    sequence = models.BigAutoField(primary_key=True)
    transaction_id = TransactionId(
        db_default=CurrentTransaction(output_field=TransactionId()), editable=False
    )
    id = models.UUIDField(default=uuid7, unique=True, editable=False)
    type = models.CharField(max_length=64)
    object_type = models.CharField(max_length=40)
    object_id = models.UUIDField(null=True)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor_id = models.UUIDField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)
    cause = models.UUIDField(null=True)
    depth = models.PositiveSmallIntegerField(default=0)

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT", "DELETE")

    class Meta:
        indexes = [
            models.Index(fields=["transaction_id", "sequence"], name="event_by_transaction"),
            models.Index(fields=["object_type", "object_id", "sequence"], name="event_by_object"),
            models.Index(fields=["type", "sequence"], name="event_by_type"),
            models.Index(fields=["at"], name="event_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class EventPosition(models.Model):
    """How far a consumer of domain events has come."""

    consumer = models.CharField(max_length=64, primary_key=True)
    transaction_id = TransactionId(default=0)
    sequence = models.BigIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.consumer} at {self.sequence}"


class ParkedEvent(models.Model):
    """An event that a consumer could not take; somebody has to look."""

    consumer = models.CharField(max_length=64)
    event_id = models.UUIDField()
    error = models.CharField(max_length=100)
    parked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["consumer", "event_id"], name="parked_once")]

    def __str__(self) -> str:
        return f"{self.consumer} {self.event_id}"
