"""Taking deliveries out of the outbox and to their channel.

A delivery is claimed in a transaction that counts the attempt and says when the next one would be, and only
then tried, outside of it: a worker that dies in between leaves a row that is tried again later, with the
same Message-ID. Whether the recipient may still see the entity, still wants it and has not read it meanwhile
is asked at that moment. Failures are retried with growing, jittered pauses, ATTEMPTS times at most.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core import entities
from web.shared.core.viewer import viewer_of
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import Tenant
from web.tenant.notifications import outbox, people
from web.tenant.notifications.choices import DeliveryState
from web.tenant.notifications.models import Notification, NotificationDelivery, NotificationPreference

ATTEMPTS = 6
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
DIGEST_SIZE = 100

logger = structlog.get_logger(__name__)


class Undeliverable(Exception):
    """`code` goes into the row; `final`: no further attempt would help."""

    def __init__(self, code: str, *, final: bool) -> None:
        super().__init__(code)
        self.code, self.final = code, final


@dataclass(frozen=True)
class Letter:
    """What a channel sends: one notification, or a digest of several."""

    id: str
    user: Any
    organisation: Tenant
    notifications: tuple[Any, ...]
    is_digest: bool


Send = Callable[[Letter], None]
senders: dict[str, Send] = {}


def sender(channel: str, send: Send) -> None:
    """Register what carries a channel; raises Undeliverable when it could not."""
    senders[channel] = send


def deliver_due(limit: int = 200) -> int:
    """Try everything that is due in the tenant chosen now; returns how many deliveries were tried."""
    tried = 0
    while tried < limit:
        claimed = _claim()
        if not claimed:
            break
        tried += len(claimed)
        _try(claimed)
    return tried


def due_rows() -> QuerySet[NotificationDelivery]:
    return NotificationDelivery.objects.filter(state=DeliveryState.PENDING, next_at__lte=timezone.now())


def _claim() -> list[NotificationDelivery]:
    """The next due delivery, or all of one person's digest; empty when nothing is due."""
    now = timezone.now()
    with transaction.atomic():
        due = NotificationDelivery.objects.filter(state=DeliveryState.PENDING, next_at__lte=now)
        rows = due.select_related("notification__escalation").select_for_update(
            of=("self",), skip_locked=True
        )
        first = rows.order_by("next_at", "pk").first()
        if first is None:
            return []
        claimed = [first]
        if first.in_digest:
            same = rows.filter(
                in_digest=True, channel=first.channel, notification__user_id=first.notification.user_id
            )
            claimed = list(same.order_by("created_at", "pk")[:DIGEST_SIZE]) or [first]
        for row in claimed:
            row.attempts += 1
            row.next_at = now + pause(row.attempts)
            row.save(update_fields=["attempts", "next_at", "updated_at"])
    return claimed


def pause(attempts: int) -> timedelta:
    """How long after this attempt the next one comes: doubling, half of it by chance."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1))
    return timedelta(seconds=random.uniform(longest / 2, longest))


def _try(claimed: list[NotificationDelivery]) -> None:
    ready = _still_wanted(claimed)
    if not ready:
        return
    first = ready[0]
    send = senders.get(first.channel)
    try:
        if send is None:
            raise Undeliverable("no_provider", final=True)
        send(_letter(ready))
    except Undeliverable as error:
        for row in ready:
            _settle_failure(row, error.code, final=error.final)
    except Exception as error:  # a channel's bug must not stop the others
        logger.error("delivery_failed", channel=first.channel, error=type(error).__name__, exc_info=True)
        for row in ready:
            _settle_failure(row, "internal_error", final=False)
    else:
        for row in ready:
            _settle(row, DeliveryState.SENT)


def _still_wanted(claimed: list[NotificationDelivery]) -> list[NotificationDelivery]:
    """Those that are still to be sent now; the others are settled or put off."""
    user_id = claimed[0].notification.user_id
    member = people.members([user_id]).get(user_id)
    preference = NotificationPreference.objects.filter(user_id=user_id).first()
    organisation = _organisation()
    now, ready = timezone.now(), []
    for row in claimed:
        notification = row.notification
        if member is None or notification.is_deleted:
            _settle(row, DeliveryState.SKIPPED, "recipient_gone")
        elif _is_settled(notification):
            _settle(row, DeliveryState.SKIPPED, "read")
        elif not _visible(notification, member):
            _settle(row, DeliveryState.SKIPPED, "not_visible")
        elif _quiet(row, preference, organisation, now):
            continue
        else:
            ready.append(row)
    return ready


def _is_settled(notification: Notification) -> bool:
    """Nothing is left to be told: it was read, and acknowledged by somebody where that is asked for."""
    chain = notification.escalation
    return chain.acknowledged_at is not None if chain is not None else notification.is_read


def _quiet(row: NotificationDelivery, preference: Any, organisation: Tenant, now: Any) -> bool:
    """Put off what a retry, or changed preferences, brought into quiet hours; that is no attempt."""
    if preference is None or row.notification.is_urgent:
        return False
    until = outbox.not_before(preference, now, outbox.zone_of(preference, organisation))
    if until <= now:
        return False
    row.attempts, row.next_at = row.attempts - 1, until
    row.save(update_fields=["attempts", "next_at", "updated_at"])
    return True


def _visible(notification: Any, member: Any) -> bool:
    if notification.entity_id is None:
        return True
    try:
        entities.row(notification.entity_type, notification.entity_id, viewer_of(member))
    except entities.UnknownEntity:
        return False
    return True


def _letter(rows: list[NotificationDelivery]) -> Letter:
    return Letter(
        id=str(rows[0].pk),
        user=rows[0].notification.user,
        organisation=_organisation(),
        notifications=tuple(row.notification for row in rows),
        is_digest=rows[0].in_digest,
    )


def _organisation() -> Tenant:
    found: Tenant = Tenant.objects.get(pk=str(current_tenant_id()))
    return found


def _settle_failure(row: NotificationDelivery, code: str, *, final: bool) -> None:
    if final or row.attempts >= ATTEMPTS:
        _settle(row, DeliveryState.FAILED, code)
        logger.warning("delivery_given_up", delivery=str(row.pk), channel=row.channel, code=code)
        return
    row.error = code
    row.save(update_fields=["error", "updated_at"])


def _settle(row: NotificationDelivery, state: DeliveryState, error: str = "") -> None:
    row.state, row.error = state.value, error
    row.sent_at = timezone.now() if state is DeliveryState.SENT else None
    with transaction.atomic():
        row.save(update_fields=["state", "error", "sent_at", "updated_at"])
        outbox.summarise(row.notification)
