"""The rows that every tenant's schema holds, whatever its apps: audit, idempotency keys, domain events.

The package lies with the shared code because the API base writes to it; its tables are in TENANT_APPS, so an
audit row that names a person can only ever be in the schema of that person's organisation.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from web.shared.core.ids import uuid7
from web.shared.core.models import AbstractAuditEvent


class AuditEvent(AbstractAuditEvent):
    class Meta(AbstractAuditEvent.Meta):
        indexes = [models.Index(fields=["object_type", "object_id", "at"], name="audit_by_object")]


class IdempotencyKey(models.Model):
    """The answer to a POST, kept 24 h for whoever sends the same key again."""

    owner = models.CharField(max_length=64)
    key = models.CharField(max_length=255, help_text="SHA-256 of the client's key.")
    fingerprint = models.BinaryField(help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField(help_text="Sealed; see web.shared.api.idempotency.")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return f"{self.owner} {self.created_at:%Y-%m-%dT%H:%M:%SZ}"


class TransactionId(models.Field):  # type: ignore[type-arg]
    """PostgreSQL's xid8: which transaction wrote the row. Filled by the database."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def from_db_value(self, value: Any, *_: Any) -> int | None:
        return None if value is None else int(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return None if value is None else str(value)


class CurrentTransaction(models.Func):
    function = "pg_current_xact_id"
    arity = 0


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
