"""From domain events to notifications: the consumer `notifications`.

For each event the organisation's rules of its type, then the built-in ones: do the conditions hold for the
entity and the event, who is meant, which of them may see the entity? Each of those gets one notification for
the event, with the text of the first rule that means them, and a delivery for each channel they want. All of
it is written in the consumer's transaction; the database keeps (user, event) unique, so an event that is
handed on again makes nothing new.

An event older than STALE is passed over: nobody wants to be told last month's news after an outage.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from telephony.contract import conditions
from web.shared.accounts.permissions import AUDIT_VIEW
from web.shared.core import entities
from web.shared.core.viewer import everything, viewer_of
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import Tenant
from web.tenant.notifications import builtin, outbox, people, rendering
from web.tenant.notifications.models import Escalation, Notification, NotificationRule

if TYPE_CHECKING:
    from web.shared.records.models import DomainEvent

STALE = timedelta(hours=24)


@dataclass(frozen=True)
class Subject:
    """What an event speaks of: its entity's row (None when it is gone or no entity) and facts."""

    event: DomainEvent
    kind: str
    pk: uuid.UUID | None
    row: Any
    facts: Mapping[str, Any]
    contact: uuid.UUID | None

    @property
    def data(self) -> dict[str, Any]:
        """What conditions may ask about: the entity's facts and the event's own data."""
        found = {f"{self.kind}.{key}": value for key, value in self.facts.items()}
        found |= {f"event.{key}": value for key, value in self.event.data.items()}
        found |= {"event.type": self.event.type, "event.actor_kind": self.event.actor_kind}
        return found


def wanted(kinds: set[str]) -> set[str]:
    """Those types for which there is a rule, the organisation's or a built-in one."""
    return {kind for kind, rules in rules_of(kinds).items() if rules}


def consume(batch: Sequence[DomainEvent]) -> None:
    """Take a batch of events, in the tenant and transaction of the caller."""
    since = timezone.now() - STALE
    fresh = [event for event in batch if event.at >= since]
    rules = rules_of({event.type for event in fresh})
    for event in fresh:
        if rules.get(event.type):
            take(event, rules[event.type])


def rules_of(types: Iterable[str]) -> dict[str, list[Any]]:
    """The active rules by type, the organisation's own before the built-in ones. Two queries."""
    kinds = set(types)
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    rows = NotificationRule.objects.filter(trigger_event__in=kinds, is_active=True).prefetch_related("steps")
    for rule in rows.order_by("created_at", "pk"):
        found[rule.trigger_event].append(rule)
    for kind in kinds:
        # Those with a chain first: who is told must be able to end it.
        found[kind] = sorted(found[kind], key=lambda rule: not rule.chain) + builtin.of(kind)
    return found


def take(event: DomainEvent, rules: Sequence[Any]) -> list[Notification]:
    """Everything that `rules` make of one event."""
    subject = subject_of(event)
    made: list[Notification] = []
    for rule in rules:
        if matches(rule, subject):
            escalation = _escalation(rule, event)
            users = people.meant(rule.recipients, event.data, subject.facts)
            if not rule.include_actor and event.actor_id is not None:
                users.discard(event.actor_id)
            made += tell(rule=rule, subject=subject, users=users, channels=rule.channels,
                         escalation=escalation)  # fmt: skip
    return made


def subject_of(event: DomainEvent) -> Subject:
    name, pk = _reference(event)
    try:
        row = entities.row(name, pk, everything()) if pk else None
    except entities.UnknownEntity:
        row = None
    if row is None:
        return Subject(event, name, pk, None, {}, None)
    kind = entities.get(name)
    facts = {**_people_of(row), **kind.facts(row)}
    return Subject(event, name, row.pk, row, facts, kind.contact(row))


def _reference(event: DomainEvent) -> tuple[str, Any]:
    """Entity and id that an event speaks of: its object, or what its data names; ("", None) for neither."""
    known = entities.names()
    if event.object_type in known:
        return event.object_type, event.object_id
    if event.data.get("entity_type") in known:
        return event.data["entity_type"], event.data.get("entity_id")
    name = rendering.entity_of(event.type)
    return (name, event.data.get(name)) if name in known else ("", None)


def _people_of(row: Any) -> dict[str, Any]:
    """Who made a row and who follows it, when its facts do not say."""
    found: dict[str, Any] = {}
    if getattr(row, "created_by_id", None) is not None:
        found["created_by"] = str(row.created_by_id)
    if hasattr(row, "watchers"):
        found["watchers"] = [str(pk) for pk in row.watchers.values_list("user_id", flat=True)]
    return found


def matches(rule: Any, subject: Subject) -> bool:
    return conditions.holds(rule.conditions, subject.data, subject.event.at)


def tell(
    *,
    rule: Any,
    subject: Subject,
    users: Iterable[uuid.UUID],
    channels: Sequence[str],
    escalation: Escalation | None = None,
    step: int = 0,
) -> list[Notification]:
    """One notification for each of `users` who may see the entity and has none of this event yet."""
    members = people.members(list(users)[: people.MOST])
    known = set(
        Notification.all_objects.filter(event_id=subject.event.id, user_id__in=members).values_list(
            "user_id", flat=True
        )
    )
    organisation = Tenant.objects.get(pk=str(current_tenant_id()))
    preferences = outbox.preferences(members)
    made = []
    for user_id, membership in members.items():
        if user_id in known or not may_see(subject, membership):
            continue
        plan = outbox.of(
            rule=rule,
            kind=subject.event.type,
            channels=channels,
            preference=preferences.get(user_id),
            organisation=organisation,
            must=escalation is not None,
        )
        if plan:
            made.append(_write(rule, subject, membership, organisation, plan, escalation, step))
    return made


def may_see(subject: Subject, membership: Any) -> bool:
    """Whether this member may see the entity now. What is about none is for readers of the audit trail."""
    viewer = viewer_of(membership)
    if not subject.kind:
        return viewer.may(AUDIT_VIEW)
    try:
        entities.row(subject.kind, subject.pk or "", viewer)
    except entities.UnknownEntity:
        return False
    return True


def texts(rule: Any, subject: Subject, name: str, organisation: Tenant, zone: ZoneInfo) -> tuple[str, str]:
    """Title and message of a rule for one recipient."""
    event = subject.event
    names = rendering.values(
        trigger=event.type,
        at=event.at,
        row=subject.row,
        recipient=name,
        organisation=organisation.name,
        zone=zone,
    )
    title = rendering.fill(rule.title, names, rendering.MAX_TITLE) or rendering.label_of(event.type)
    return title, rendering.fill(rule.template, names, rendering.MAX_MESSAGE)


def _write(
    rule: Any,
    subject: Subject,
    membership: Any,
    organisation: Tenant,
    plan: outbox.Plan,
    escalation: Escalation | None,
    step: int,
) -> Notification:
    event = subject.event
    title, message = texts(rule, subject, membership.user.name, organisation, plan.zone)
    row = Notification(
        user_id=membership.user_id,
        title=title,
        message=message,
        notification_type=event.type,
        entity_type=subject.kind,
        entity_id=subject.pk,
        contact=subject.contact,
        channel=plan.channels[0],
        delivery_status=plan.status,
        is_urgent=rule.is_urgent,
        event_id=event.id,
        rule_id=rule.pk,
        escalation=escalation,
    )
    row.save(force_insert=True)
    outbox.write(row, plan, step=step)
    return row


def _escalation(rule: Any, event: DomainEvent) -> Escalation | None:
    steps = rule.chain
    if not steps:
        return None
    due: datetime = timezone.now() + timedelta(minutes=steps[0].after_minutes)
    found, _ = Escalation.objects.get_or_create(rule=rule, event_id=event.id, defaults={"due_at": due})
    return found
