"""Reading notifications: one's own, with only the words that one may still see."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core import entities
from web.shared.core.viewer import Viewer
from web.tenant.notifications import consume, people
from web.tenant.notifications.models import Notification, NotificationRule

MOST_EVENTS = 500
Key = tuple[str, uuid.UUID]


def mine(queryset: QuerySet[Notification], viewer: Viewer) -> QuerySet[Notification]:
    """A person's own notifications; nobody has anybody else's, whatever their role."""
    return queryset.none() if viewer.user_id is None else queryset.filter(user_id=viewer.user_id)


def unread(viewer: Viewer) -> int:
    return mine(Notification.objects.filter(is_read=False), viewer).count()


def seen(rows: Iterable[Notification], viewer: Viewer) -> set[Key]:
    """Which of the entities that `rows` lead to this viewer may see now. One query for each kind."""
    wanted: dict[str, set[uuid.UUID]] = defaultdict(set)
    for row in rows:
        if row.entity_id is not None:
            wanted[row.entity_type].add(row.entity_id)
    found: set[Key] = set()
    for kind, ids in wanted.items():
        try:
            visible = entities.get(kind).rows(viewer).filter(pk__in=ids)
        except entities.UnknownEntity:
            continue
        found |= {(kind, pk) for pk in visible.values_list("pk", flat=True)}
    return found


def dry_run(rule: NotificationRule, days: int) -> dict[str, Any]:
    """What `rule` would have done with the newest events of its type; nothing is written.

    Facts are those of now: what an entity was then is not kept. {"events", "matched", "notified",
    "examples": [{"event", "at", "object_id", "matched", "users"}]}.
    """
    since = timezone.now() - timedelta(days=days)
    rows = (
        apps.get_model("records", "DomainEvent")
        .objects.filter(type=rule.trigger_event, at__gte=since)
        .order_by("-sequence")[:MOST_EVENTS]
    )
    examples = [_tried(rule, event) for event in rows]
    return {
        "events": len(examples),
        "matched": sum(one["matched"] for one in examples),
        "notified": sum(len(one["users"]) for one in examples),
        "examples": examples[:20],
    }


def _tried(rule: NotificationRule, event: Any) -> dict[str, Any]:
    subject = consume.subject_of(event)
    matched = consume.matches(rule, subject)
    users: Sequence[uuid.UUID] = []
    if matched:
        wanted = people.meant(rule.recipients, event.data, subject.facts)
        if not rule.include_actor:
            wanted.discard(event.actor_id)
        users = [pk for pk, one in people.members(wanted).items() if consume.may_see(subject, one)]
    return {
        "event": event.id,
        "at": event.at,
        "object_id": event.object_id,
        "matched": matched,
        "users": sorted(users),
    }
