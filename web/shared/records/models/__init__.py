"""The rows that every tenant's schema holds, whatever its apps.

Audit and idempotency rows, domain events and who has read them, webhooks and their deliveries, jobs. The
package lies with the shared code because the API base writes to it; its tables are in TENANT_APPS, so an
audit row that names a person can only ever be in the schema of that person's organisation.
"""

from web.shared.core.fields import CurrentTransaction, TransactionId
from web.shared.records.models.audit import AuditEvent, AuditSeal
from web.shared.records.models.events import DomainEvent, EventPosition, ParkedEvent
from web.shared.records.models.jobs import Job
from web.shared.records.models.requests import IdempotencyKey
from web.shared.records.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "AuditEvent",
    "AuditSeal",
    "CurrentTransaction",
    "DomainEvent",
    "EventPosition",
    "IdempotencyKey",
    "Job",
    "ParkedEvent",
    "TransactionId",
    "WebhookDelivery",
    "WebhookEndpoint",
]
