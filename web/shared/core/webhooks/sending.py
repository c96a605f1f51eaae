"""Sending what is due: claimed in a transaction, sent outside of one, written down in another.

A claim moves `next_at` behind a lease, so that a killed worker's deliveries are tried again. At most
PER_ENDPOINT of one receiver are in a round: a dead one, five seconds each, must not hold up the others. What
fails is tried again after 5 s, then ever later, up to 24 h; after the last of RETRIES it is given up. An
endpoint that took nothing for DISABLE_AFTER, or answers 410, is switched off, and that is an event.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core import audit, egress, events
from web.shared.core.actor import system
from web.shared.core.event_json import as_json
from web.shared.core.webhooks import signatures
from web.shared.records.models import DomainEvent, WebhookDelivery, WebhookEndpoint
from web.shared.records.models.webhooks import DeliveryStatus

RETRIES = (5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400)
"""Seconds before each try but the first."""
JITTER = 0.2
DISABLE_AFTER = timedelta(days=5)
LEASE = timedelta(seconds=60)
ROUND = 40
PER_ENDPOINT = 5
USER_AGENT = "Murima-Webhooks/1"
GONE = 410


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed delivery with all that sending needs. `target` is None when the URL may not be used."""

    delivery: WebhookDelivery
    target: egress.Target | None
    refusal: str
    body: bytes
    headers: dict[str, str]


def send_due(tenant_id: str) -> int:
    """One round for the tenant chosen; returns how many were tried."""
    parcels = _claim(tenant_id)
    if not parcels:
        return 0
    answers = asyncio.run(_send_all(parcels))
    for parcel, answer in zip(parcels, answers, strict=True):
        _settle(parcel.delivery, answer)
    return len(parcels)


def due_rows() -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(
        status=DeliveryStatus.PENDING, next_at__lte=timezone.now(), endpoint__is_active=True
    )


def _claim(tenant_id: str) -> list[Parcel]:
    now = timezone.now()
    with transaction.atomic():
        rows = list(
            WebhookDelivery.objects.select_related("endpoint")
            .select_for_update(of=("self",), skip_locked=True)
            .filter(pk__in=_due(now), status=DeliveryStatus.PENDING, next_at__lte=now)
        )
        for row in rows:
            row.attempts, row.next_at, row.last_at = row.attempts + 1, now + LEASE, now
        WebhookDelivery.objects.bulk_update(rows, ["attempts", "next_at", "last_at"])
    found = {one.id: one for one in DomainEvent.objects.filter(id__in=[row.event_id for row in rows])}
    return [_parcel(tenant_id, row, found.get(row.event_id)) for row in rows]


def _due(now: datetime) -> list[str]:
    """Ids of what is due, the oldest first, of each active endpoint at most PER_ENDPOINT."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM (SELECT d.id, d.next_at, row_number() OVER"
            " (PARTITION BY d.endpoint_id ORDER BY d.next_at, d.id) AS place"
            " FROM records_webhookdelivery d JOIN records_webhookendpoint e ON e.id = d.endpoint_id"
            " WHERE d.status = 'pending' AND d.next_at <= %s AND e.is_active AND NOT e.is_deleted) due"
            " WHERE place <= %s ORDER BY next_at LIMIT %s",
            [now, PER_ENDPOINT, ROUND],
        )
        return [row[0] for row in cursor.fetchall()]


def _parcel(tenant_id: str, row: WebhookDelivery, event: DomainEvent | None) -> Parcel:
    if event is None:  # its 30 days are over
        return Parcel(row, None, "event_gone", b"", {})
    try:
        target = egress.parse(row.endpoint.url)
    except egress.Refused as refusal:
        return Parcel(row, None, f"refused_{refusal.code}", b"", {})
    body = json.dumps(as_json(event), separators=(",", ":")).encode()
    now = timezone.now()
    timestamp = int(now.timestamp())
    signed = signatures.signatures(
        signatures.active(tenant_id, row.endpoint, now), str(event.id), timestamp, body
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": str(event.id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed,
    }
    return Parcel(row, target, "", body, headers)


async def _send_all(parcels: Sequence[Parcel]) -> list[egress.Answer]:
    return list(await asyncio.gather(*(_send(parcel) for parcel in parcels)))


async def _send(parcel: Parcel) -> egress.Answer:
    if parcel.target is None:
        return egress.Answer(None, 0, parcel.refusal)
    return await egress.post(parcel.target, parcel.body, parcel.headers)


def _settle(delivery: WebhookDelivery, answer: egress.Answer) -> None:
    """Write down what came of it, for the delivery and for its endpoint."""
    with transaction.atomic():
        row = WebhookDelivery.objects.select_for_update().filter(pk=delivery.pk).first()
        if row is None or row.attempts != delivery.attempts or row.status != DeliveryStatus.PENDING:
            return
        row.response_status, row.duration_ms, row.error = answer.status, answer.milliseconds, answer.error
        if not answer.taken and not answer.error:
            row.error = "redirect" if 300 <= (answer.status or 0) < 400 else "status"
        if answer.taken:
            row.status, row.next_at = DeliveryStatus.DELIVERED, None
        elif row.attempts > len(RETRIES) or answer.error == "event_gone":
            row.status, row.next_at = DeliveryStatus.FAILED, None
        else:
            row.next_at = timezone.now() + _wait(row.attempts)
        row.save()
        _look_at_endpoint(row, answer)


def _wait(attempts: int) -> timedelta:
    seconds = RETRIES[attempts - 1]
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))


def _look_at_endpoint(row: WebhookDelivery, answer: egress.Answer) -> None:
    endpoints = WebhookEndpoint.objects.filter(pk=row.endpoint_id)
    if answer.taken:
        endpoints.filter(failing_since__isnull=False).update(failing_since=None)
        return
    now = timezone.now()
    endpoints.filter(failing_since=None).update(failing_since=now)
    endpoint = endpoints.select_for_update().filter(is_active=True).first()
    if endpoint is None or endpoint.failing_since is None:
        return
    if answer.status == GONE:
        _disable(endpoint, "gone")
    elif now - endpoint.failing_since >= DISABLE_AFTER:
        _disable(endpoint, "failing")


def _disable(endpoint: WebhookEndpoint, because: str) -> None:
    endpoint.is_active, endpoint.disabled_because = False, because
    endpoint.save(update_fields=["is_active", "disabled_because"])
    actor = system("webhooks")
    audit.record(actor=actor, action="webhook.disable", obj=endpoint, changes={"because": because})
    events.emit("webhook.disabled", actor=actor, obj=endpoint, data={"because": because})
