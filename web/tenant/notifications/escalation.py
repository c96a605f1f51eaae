"""When nobody reacts: the next ones are told, step by step, until somebody acknowledges.

One acknowledgement by anybody who was told ends the chain for all. A step that means somebody who was told
already reaches them again, by the step's channels. Deadlines are rows; beat finds what is due, and a chain's
row is locked while its step is made, so that two workers make one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core import audit
from web.shared.core.actor import Actor
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import Tenant
from web.tenant.notifications import consume, outbox, people
from web.tenant.notifications.models import Escalation, Notification


def escalate_due(limit: int = 200) -> int:
    """Make every step that is due now; returns how many."""
    for done in range(limit):
        with transaction.atomic():
            row = (
                Escalation.objects.filter(acknowledged_at=None, due_at__lte=timezone.now())
                .select_for_update(skip_locked=True)
                .order_by("due_at")
                .first()
            )
            if row is None:
                return done
            _step(row)
    return limit


def due_rows() -> QuerySet[Escalation]:
    return Escalation.objects.filter(acknowledged_at=None, due_at__lte=timezone.now())


def acknowledge(*, actor: Actor, notification: Notification) -> Notification:
    """Say that somebody takes care; also marks it read. Doing it twice changes nothing more."""
    with transaction.atomic():
        row = Notification.objects.select_for_update().get(pk=notification.pk)
        if row.event_id is not None:
            # Several rules may have begun one; it is the same thing that somebody takes care of.
            chains = Escalation.objects.select_for_update().filter(
                event_id=row.event_id, acknowledged_at=None
            )
            for chain in chains.order_by("pk"):
                chain.acknowledged_at, chain.acknowledged_by_id = timezone.now(), actor.user_id
                chain.due_at = None
                chain.save()
        if row.acknowledged_at is None:
            row.acknowledged_at = timezone.now()
            row.is_read, row.read_at = True, row.read_at or row.acknowledged_at
            row.updated_by_id = actor.user_id
            row.save(update_fields=["acknowledged_at", "is_read", "read_at", "updated_by"])
            audit.record(actor=actor, action="acknowledge", obj=row)
    return row


def _step(row: Escalation) -> None:
    rule = row.rule
    steps = rule.chain if rule.is_active and not rule.is_deleted else []
    event = apps.get_model("records", "DomainEvent").objects.filter(id=row.event_id).first()
    if row.step >= len(steps) or event is None:
        row.due_at = None
        row.save()
        return
    step, number = steps[row.step], row.step + 1
    subject = consume.subject_of(event)
    users = people.meant(step.recipients, event.data, subject.facts)
    again = list(row.notifications.filter(user_id__in=users))
    consume.tell(rule=rule, subject=subject, users=users, channels=step.channels, escalation=row, step=number)
    for notification in again:
        _remind(notification, rule, step, number)
    row.step = number
    following = steps[number] if number < len(steps) else None
    row.due_at = None if following is None else timezone.now() + timedelta(minutes=following.after_minutes)
    row.save()


def _remind(notification: Notification, rule: Any, step: Any, number: int) -> None:
    organisation = Tenant.objects.get(pk=str(current_tenant_id()))
    plan = outbox.of(
        rule=rule,
        kind=notification.notification_type,
        channels=step.channels,
        preference=outbox.preferences([notification.user_id]).get(notification.user_id),
        organisation=organisation,
        must=False,
    )
    if plan is not None:
        outbox.write(notification, plan, step=number)
