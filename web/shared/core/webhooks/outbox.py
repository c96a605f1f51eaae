"""From events to deliveries: the consumer of domain events called "webhooks"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from web.shared.core.tasks import once_after_commit
from web.shared.core.webhooks import tasks
from web.shared.records.models import WebhookDelivery, WebhookEndpoint
from web.shared.tenants.context import current_tenant_id

if TYPE_CHECKING:
    from web.shared.records.models import DomainEvent

PINGS = "webhook.tested"
"""Goes to the one endpoint that it names, whatever that endpoint wants."""


def wanted(kinds: set[str]) -> set[str]:
    """Those types that some active endpoint wants."""
    endpoints = list(WebhookEndpoint.objects.filter(is_active=True))
    return {kind for kind in kinds if kind != PINGS and any(one.wants(kind) for one in endpoints)}


def take(events: list[DomainEvent]) -> None:
    """A delivery for each event and each active endpoint that wants it; none twice."""
    endpoints = list(WebhookEndpoint.objects.filter(is_active=True))
    now = timezone.now()
    rows = [
        WebhookDelivery(endpoint=endpoint, event_id=event.id, event_type=event.type, next_at=now)
        for event in events
        for endpoint in endpoints
        if event.type != PINGS and endpoint.wants(event.type)
    ]
    if rows:
        WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
        wake()


def deliver(endpoint: WebhookEndpoint, event: DomainEvent) -> WebhookDelivery:
    """A delivery of this event to this endpoint, now."""
    made = WebhookDelivery.objects.create(
        endpoint=endpoint, event_id=event.id, event_type=event.type, next_at=timezone.now()
    )
    wake()
    return made


def wake() -> None:
    """Ask a worker to send, after the commit."""
    tenant_id = str(current_tenant_id())
    once_after_commit(f"webhooks {tenant_id}", lambda: tasks.send(tenant_id))
