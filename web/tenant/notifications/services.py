"""Writing rules, preferences, and what people do with their notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from telephony.contract import conditions
from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.notifications import people, rendering
from web.tenant.notifications.models import (
    EscalationStep,
    Notification,
    NotificationPreference,
    NotificationRule,
)
from web.tenant.notifications.models.rule import MAX_STEPS

KEPT = timedelta(days=365)


def rule_create(
    *, actor: Actor, values: Mapping[str, Any], steps: Sequence[Mapping[str, Any]] = ()
) -> NotificationRule:
    """A rule with its chain; ValidationError names what is unknown: event, variable, recipient, condition."""
    given = dict(values)
    with transaction.atomic():
        _check(given, given)
        rule = base.create(NotificationRule, actor=actor, values=given)
        _replace_steps(rule, steps)
    return rule


def rule_update(
    *,
    actor: Actor,
    rule: NotificationRule,
    values: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]] | None = None,
) -> NotificationRule:
    """Change a rule; `steps` (when given) replaces its chain, also for what is under way."""
    given = dict(values)
    with transaction.atomic():
        row = base.lock(NotificationRule.objects.all(), pk=rule.pk)
        _check(given, {name: getattr(row, name) for name in ("trigger_event", "title", "template")} | given)
        base.update(row, actor=actor, values=given)
        if steps is not None:
            _replace_steps(row, steps)
            row.updated_by_id = actor.user_id
            row.save(update_fields=["updated_by"])
            changes = audit.changed_fields(["escalation"])
            audit.record(actor=actor, action="update", obj=row, changes=changes)
    return row


def rule_delete(*, actor: Actor, rule: NotificationRule) -> None:
    base.soft_delete(rule, actor=actor)


def mark(*, actor: Actor, notification: Notification, is_read: bool) -> Notification:
    """Mark one's own notification read or unread."""
    if notification.is_read == is_read:
        return notification
    notification.is_read = is_read
    notification.read_at = timezone.now() if is_read else None
    notification.updated_by_id = actor.user_id
    notification.save(update_fields=["is_read", "read_at", "updated_by"])
    return notification


def mark_all(*, actor: Actor) -> int:
    """Mark all of one's own notifications read; returns how many were not."""
    if actor.user_id is None:
        return 0
    mine = Notification.objects.filter(user_id=actor.user_id, is_read=False)
    return mine.update(is_read=True, read_at=timezone.now(), revision=F("revision") + 1)


def dismiss(*, actor: Actor, notification: Notification) -> None:
    base.soft_delete(notification, actor=actor)


def forget_old() -> int:
    """Remove notifications older than KEPT, read or not: their texts are about people. Returns how many."""
    old = Notification.all_objects.filter(created_at__lt=timezone.now() - KEPT)
    count, _ = old.delete()
    return count


def preference_of(user_id: Any) -> NotificationPreference:
    """The preferences of a user; unsaved defaults when they have none yet."""
    found = NotificationPreference.objects.filter(user_id=user_id).first()
    return found or NotificationPreference(user_id=user_id)


def preference_locked(user_id: Any) -> NotificationPreference:
    """The same as a locked row, made when there is none; call it inside a transaction."""
    NotificationPreference.objects.get_or_create(user_id=user_id)
    return NotificationPreference.objects.select_for_update().get(user_id=user_id)


def preference_update(
    *, actor: Actor, preference: NotificationPreference, values: Mapping[str, Any]
) -> NotificationPreference:
    return base.update(preference, actor=actor, values=values)


def _replace_steps(rule: NotificationRule, steps: Sequence[Mapping[str, Any]]) -> None:
    if len(steps) > MAX_STEPS:
        raise base.refuse(escalation=f"At most {MAX_STEPS} steps.")
    for step in steps:
        _check_recipients("escalation", step["recipients"])
    EscalationStep.objects.filter(rule=rule).delete()
    for position, values in enumerate(steps):
        row = EscalationStep(rule=rule, position=position, **values)
        try:
            row.full_clean(validate_constraints=False)
        except ValidationError as wrong:
            raise ValidationError(
                {"escalation": [one for errors in wrong.error_dict.values() for one in errors]}
            ) from None
        row.save(force_insert=True)


def _check(given: dict[str, Any], whole: Mapping[str, Any]) -> None:
    if "trigger_event" in given:
        given["trigger_event"] = trigger_named(str(given["trigger_event"]))
    trigger = str(given.get("trigger_event") or whole["trigger_event"])
    for name in ("title", "template"):
        problems = rendering.problems(str(whole.get(name) or ""), trigger)
        if problems:
            raise base.refuse(**{name: " ".join(problems)})
    if "recipients" in given:
        _check_recipients("recipients", given["recipients"])
    if "conditions" in given:
        if not isinstance(given["conditions"], dict):
            raise base.refuse(conditions="A condition is an object; {} always holds.")
        wrong = conditions.check(given["conditions"])
        if wrong:
            said = " ".join(f"{one.pointer or '/'}: {one.text}" for one in wrong[:5])
            raise base.refuse(conditions=said)


def trigger_named(text: str) -> str:
    """The event type that `text` names: task.overdue, or task_overdue. ValidationError when there is none."""
    named = {kind: kind for kind in triggers()} | {kind.replace(".", "_"): kind for kind in triggers()}
    if text not in named:
        raise base.refuse(
            trigger_event="No rule can listen to such an event; /notifications/triggers/ lists them."
        )
    return named[text]


def triggers() -> list[str]:
    """The types of event that rules may listen to: what was deleted can be shown to nobody."""
    return sorted(kind for kind in events.catalogue if not kind.endswith(".deleted"))


def _check_recipients(field: str, recipients: Any) -> None:
    if not isinstance(recipients, list):
        raise base.refuse(**{field: "A list of recipients."})
    wrong = people.unknown(recipients)
    if wrong:
        places = ", ".join(str(place) for place in wrong)
        raise ValidationError(
            {field: [ValidationError(f"There is no such recipient (place {places}).", code="does_not_exist")]}
        )
