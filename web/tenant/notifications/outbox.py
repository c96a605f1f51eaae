"""Deliveries to be made: which channels, and when first.

In the application it happens at once, by itself: the row is there, and open screens are told after the
commit. E-mail and SMS wait in their rows: for the end of quiet hours, for the digest, or for a worker. What
is urgent waits for nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone

from web.shared.core import push
from web.shared.core.tasks import once_after_commit
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import Tenant
from web.tenant.notifications import quiet
from web.tenant.notifications.choices import Channel, DeliveryState, Digest
from web.tenant.notifications.models import (
    Notification,
    NotificationDelivery,
    NotificationPreference,
)

PUSHED = "notice"


@dataclass(frozen=True)
class Plan:
    """`channels` in the order of the rule; never empty. `first_at`: when what is not in_app is tried."""

    channels: tuple[str, ...]
    first_at: datetime
    in_digest: bool
    zone: ZoneInfo

    @property
    def status(self) -> DeliveryState:
        """Of a notification that goes out like this, at first."""
        return DeliveryState.SENT if set(self.channels) == {Channel.IN_APP} else DeliveryState.PENDING


def preferences(users: Iterable[uuid.UUID]) -> dict[uuid.UUID, NotificationPreference]:
    rows = NotificationPreference.objects.filter(user_id__in=list(users))
    return {row.user_id: row for row in rows}


def of(
    *,
    rule: Any,
    kind: str,
    channels: Sequence[str],
    preference: NotificationPreference | None,
    organisation: Tenant,
    must: bool,
) -> Plan | None:
    """How one person gets this; None when they want none of it.

    `must`: somebody has to acknowledge it, so it appears in the application whatever they prefer.
    """
    wanted = list(channels) if preference is None else preference.wanted(kind, list(channels))
    if must and Channel.IN_APP not in wanted:
        wanted.insert(0, Channel.IN_APP.value)
    if not wanted:
        return None
    now, zone = timezone.now(), zone_of(preference, organisation)
    if rule.is_urgent or preference is None:
        return Plan(tuple(wanted), now, False, zone)
    in_digest = preference.digest != Digest.NONE
    first_at = not_before(preference, _digest(preference, now, zone) if in_digest else now, zone)
    return Plan(tuple(wanted), first_at, in_digest, zone)


def not_before(preference: NotificationPreference, moment: datetime, zone: ZoneInfo) -> datetime:
    """`moment`, or the end of the quiet hours that it falls into."""
    if preference.quiet_start is None or preference.quiet_end is None:
        return moment
    return quiet.quiet_until(moment, preference.quiet_start, preference.quiet_end, zone)


def zone_of(preference: NotificationPreference | None, organisation: Tenant) -> ZoneInfo:
    name = (preference.time_zone if preference is not None else "") or organisation.time_zone
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def write(row: Notification, plan: Plan, *, step: int = 0) -> None:
    """The outbox rows of one notification; open screens and a worker are told after the commit."""
    NotificationDelivery.objects.bulk_create(_delivery(row, plan, channel, step) for channel in plan.channels)
    if Channel.IN_APP in plan.channels:
        push.to_user(str(current_tenant_id()), row.user_id, PUSHED, card(row))
    if step:
        summarise(row)
    if plan.status == DeliveryState.PENDING:
        wake_after_commit()


def _delivery(row: Notification, plan: Plan, channel: str, step: int) -> NotificationDelivery:
    at_once, now = channel == Channel.IN_APP, timezone.now()
    return NotificationDelivery(
        notification=row,
        channel=channel,
        step=step,
        state=DeliveryState.SENT if at_once else DeliveryState.PENDING,
        in_digest=plan.in_digest and channel == Channel.EMAIL,
        next_at=now if at_once else plan.first_at,
        sent_at=now if at_once else None,
    )


def card(row: Notification) -> dict[str, Any]:
    """A notification as a screen is told of it."""
    entity = None if row.entity_id is None else {"type": row.entity_type, "id": str(row.entity_id)}
    return {
        "id": str(row.pk),
        "title": row.title,
        "message": row.message,
        "type": row.notification_type,
        "entity": entity,
        "urgent": row.is_urgent,
        "needs_acknowledgement": row.escalation_id is not None,
    }


def summarise(row: Notification) -> None:
    """Set `delivery_status` from the deliveries: what failed counts most, then what still waits."""
    states = set(row.deliveries.values_list("state", flat=True))
    order = (DeliveryState.FAILED, DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.SKIPPED)
    status = next((state.value for state in order if state in states), DeliveryState.SKIPPED.value)
    if status != row.delivery_status:
        row.delivery_status = status
        # By hand: nobody edits this, so nobody's If-Match fails because a mail went out.
        Notification.all_objects.filter(pk=row.pk).update(delivery_status=status)


def wake_after_commit() -> None:
    tenant = str(current_tenant_id())

    def wake() -> None:
        from web.tenant.notifications.tasks import wake_worker

        wake_worker(tenant)

    once_after_commit(f"deliveries {tenant}", wake)


def _digest(preference: NotificationPreference, now: datetime, zone: ZoneInfo) -> datetime:
    if preference.digest == Digest.HOURLY:
        return quiet.next_hour(now)
    return quiet.next_daily(now, preference.digest_at, zone)
