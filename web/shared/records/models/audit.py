"""A tenant's audit trail and its seals; see web.shared.core.audit and web.shared.core.sealer."""

from __future__ import annotations

from django.db import models

from web.shared.core.models import AbstractAuditEvent, AbstractAuditSeal


class AuditEvent(AbstractAuditEvent):
    class Meta(AbstractAuditEvent.Meta):
        indexes = [
            models.Index(fields=["object_type", "object_id", "at"], name="audit_by_object"),
            models.Index(fields=["actor_id", "at"], name="audit_by_actor"),
            models.Index(fields=["transaction_id", "id"], name="audit_by_transaction"),
        ]


class AuditSeal(AbstractAuditSeal):
    pass
