"""Writing webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.core import audit, egress, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.webhooks import outbox, signatures
from web.shared.records.models import DomainEvent, WebhookDelivery, WebhookEndpoint
from web.shared.records.models.webhooks import DeliveryStatus
from web.shared.tenants.context import current_tenant_id

MAX_ENDPOINTS = 50
_REASONS = {
    "scheme": "Only https URLs at public addresses.",
    "port": "This port is not allowed.",
    "credentials": "No user or password in the URL.",
    "address": "This address is not a public one.",
    "address_spelling": "Write the address in its usual form.",
    "name": "This is not a public host name.",
    "bad_url": "Not a URL.",
}
# Production lets no such origin through, and need not know the name.
_FOR_TRYING = (
    " A receiver on your own machine is let through when the stack was started with its origin, such as "
    "MURIMA_EGRESS_LOCAL_ORIGINS=http://127.0.0.1:9000."
)


def endpoint_create(*, actor: Actor, values: Mapping[str, Any]) -> tuple[WebhookEndpoint, str]:
    """The endpoint and its secret, which nobody can read again. ValidationError for a URL we do not call."""
    _check_url(values["url"])
    if WebhookEndpoint.objects.count() >= MAX_ENDPOINTS:
        raise ValidationError(f"At most {MAX_ENDPOINTS} webhooks.", code="too_many")
    endpoint, secret = WebhookEndpoint(), signatures.new()
    stored = signatures.seal(str(current_tenant_id()), endpoint, secret)
    made = base.create(WebhookEndpoint, actor=actor, values={**values, "id": endpoint.pk, "secret": stored})
    return made, secret


def endpoint_update(*, actor: Actor, endpoint: WebhookEndpoint, values: Mapping[str, Any]) -> WebhookEndpoint:
    """Change it. Switched on again, its failures are forgotten and what waited is sent at once."""
    if "url" in values:
        _check_url(values["url"])
    with transaction.atomic():
        switched_on = values.get("is_active") is True and not endpoint.is_active
        changed = base.update(endpoint, actor=actor, values=values)
        if switched_on:
            changed.failing_since, changed.disabled_because = None, ""
            changed.save(update_fields=["failing_since", "disabled_because"])
            outbox.wake()
    return changed


def endpoint_delete(*, actor: Actor, endpoint: WebhookEndpoint) -> None:
    """Nothing more is sent; its secrets are forgotten."""
    with transaction.atomic():
        endpoint.deliveries.filter(status=DeliveryStatus.PENDING).update(
            status=DeliveryStatus.FAILED, next_at=None, error="deleted"
        )
        endpoint.secret = endpoint.previous_secret = b""
        endpoint.save(update_fields=["secret", "previous_secret"])
        base.soft_delete(endpoint, actor=actor)


def secret_rotate(*, actor: Actor, endpoint: WebhookEndpoint) -> tuple[WebhookEndpoint, str]:
    """A new secret; the one before signs along for a day."""
    secret = signatures.new()
    with transaction.atomic():
        row = base.lock(WebhookEndpoint.objects.all(), pk=endpoint.pk)
        row.previous_secret, row.previous_until = row.secret, timezone.now() + signatures.OVERLAP
        row.secret = signatures.seal(str(current_tenant_id()), row, secret)
        row.updated_by_id = actor.user_id
        row.save(update_fields=["secret", "previous_secret", "previous_until", "updated_by"])
        audit.record(actor=actor, action="webhook.rotate_secret", obj=row)
    return row, secret


def endpoint_test(*, actor: Actor, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send a `webhook.tested` event to this endpoint, and to no other."""
    with transaction.atomic():
        event = events.emit("webhook.tested", actor=actor, obj=endpoint)
        return outbox.deliver(endpoint, event)


def delivery_replay(*, actor: Actor, delivery: WebhookDelivery) -> WebhookDelivery:
    """Send it again, from the first try on. ValidationError when its event's 30 days are over."""
    with transaction.atomic():
        row = WebhookDelivery.objects.select_for_update().get(pk=delivery.pk)
        if not DomainEvent.objects.filter(id=row.event_id).exists():
            raise ValidationError("The event is too old; it is not kept any more.", code="event_gone")
        row.status, row.attempts, row.next_at, row.error = DeliveryStatus.PENDING, 0, timezone.now(), ""
        row.save()
        audit.record(
            actor=actor,
            action="webhook.replay",
            object_type="records.webhookdelivery",
            object_id=str(row.pk),
        )
        outbox.wake()
    return row


def forget_old() -> int:
    """Deliveries go with their events; in the tenant chosen."""
    old = WebhookDelivery.objects.filter(created_at__lt=timezone.now() - events.KEPT)
    return int(old.delete()[0])


def _check_url(url: str) -> None:
    try:
        egress.parse(url)
    except egress.Refused as refusal:
        said = _REASONS.get(refusal.code, "We do not call this URL.")
        raise base.refuse(url=f"{said}{_FOR_TRYING if settings.EGRESS_LOCAL_MAY_BE_SET else ''}") from None
