"""The rows that every tenant's schema holds, whatever its apps: audit events and idempotency keys.

The package lies with the shared code because the API base writes to it; its tables are in TENANT_APPS, so an
audit row that names a person can only ever be in the schema of that person's organisation.
"""

from __future__ import annotations

from django.db import models

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
