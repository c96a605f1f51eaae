"""What every model of the domain is made of.

BaseModel gives a UUIDv7 key, times, who wrote it, soft deletion and a revision (the ETag: each save of an
existing row adds one). `objects` shows what is not deleted, `all_objects` everything. Users are deactivated,
never deleted, so SET_NULL here is a promise to the database rather than something that happens.

AuditEvent rows are append-only: the application's role may insert and read, not change. They name fields,
ids and states, never a number, a name or free text. `content_hash` is what the sealer chains (sealer.py).
"""

from __future__ import annotations

import secrets
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from web.shared.core.fields import CurrentTransaction, TransactionId
from web.shared.core.ids import uuid7


class TimestampedModel(models.Model):
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class UUIDModel(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        # Never a name or a number: this text reaches logs.
        return f"{self._meta.label_lower} {self.pk}"


class UserTrackingModel(models.Model):
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    class Meta:
        abstract = True


class AliveManager(models.Manager[Any]):
    """Rows that are not deleted."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(is_deleted=False)


class SoftDeleteModel(models.Model):
    is_deleted = models.BooleanField(default=False, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    class Meta:
        abstract = True


class RevisionedModel(models.Model):
    """`revision` counts saves; services lock the row before they compare it with If-Match."""

    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.revision += 1
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "revision", "updated_at"}
        super().save(*args, **kwargs)


class BaseModel(UUIDModel, TimestampedModel, UserTrackingModel, SoftDeleteModel, RevisionedModel):
    """Everything together; tenant apps' models begin here.

    With an `event_name` the services tell each change as a domain event, with what `event_data` returns.
    """

    event_name: ClassVar[str] = ""

    objects: ClassVar[models.Manager[Self]] = AliveManager()
    all_objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        base_manager_name = "all_objects"

    def event_data(self) -> dict[str, Any]:
        """Ids and states that an event about this row carries: JSON, never text that somebody typed."""
        return {}


def _salt() -> bytes:
    return secrets.token_bytes(16)


class AbstractAuditEvent(models.Model):
    """One thing somebody did. Tenants' are in `records`, the platform's in PlatformAuditEvent below."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.UUIDField(null=True, blank=True)
    process = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    changes = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    salt = models.BinaryField(default=_salt)
    content_hash = models.BinaryField()
    transaction_id = TransactionId(
        db_default=CurrentTransaction(output_field=TransactionId()), editable=False
    )
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT")

    class Meta:
        abstract = True
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class AbstractAuditSeal(models.Model):
    """One link of the chain: `entries` is (id, content_hash) of each row it seals, 48 bytes a row, in order.

    `digest` covers the previous link's digest, the number, the time and the entries. `to_transaction` and
    `to_id` are the position of the last row.
    """

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    entries = models.BinaryField()
    to_transaction = TransactionId()
    to_id = models.UUIDField()
    digest = models.BinaryField()

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT")

    class Meta:
        abstract = True
        ordering = ["number"]

    def __str__(self) -> str:
        return f"seal {self.number}"


class PlatformAuditEvent(AbstractAuditEvent):
    """Acts of the platform: tenants made and suspended, break-glass, sign-ins on the platform's host."""

    class Meta(AbstractAuditEvent.Meta):
        db_table = "platform_audit_event"
        indexes = [models.Index(fields=["transaction_id", "id"], name="platform_audit_by_transaction")]


class PlatformAuditSeal(AbstractAuditSeal):
    class Meta(AbstractAuditSeal.Meta):
        db_table = "platform_audit_seal"
