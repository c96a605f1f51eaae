"""What workflows and rules can tell people: `notify`.

The same way as a notification rule's: recipients, templates, preferences, quiet hours and channels mean the
same, and nobody is told of what they may not see. What differs is the occasion: a notification rule hears of
an event and knows whom that names; this knows the entity alone. The action's own key stands for the event, so
that it tells each person once however often it is tried, and beside what else tells them of the same change.
Preferences know it as `<entity>.notice`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from telephony.contract.conditions import Problem
from web.shared.core import entities
from web.shared.records.models import DomainEvent
from web.tenant.notifications import consume, people, rendering
from web.tenant.notifications.builtin import Builtin
from web.tenant.notifications.choices import CHANNELS, Channel
from web.tenant.notifications.models.rule import MAX_RECIPIENTS
from web.tenant.notifications.permissions import NOTIFICATIONS_MANAGE
from web.tenant.workflows.actions import ActionCall, Wanted, action

RELATIONS = ("assignee", "creator", "watchers")
"""Those that an entity can answer for; the others are an event's."""
SCHEMA = {
    "type": "object",
    "required": ["recipients", "title"],
    "additionalProperties": False,
    "properties": {
        "recipients": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_RECIPIENTS,
            "items": {"type": "string", "minLength": 1, "maxLength": 100},
            "description": f"Users' ids, roles' names, `team:<id>`, {', '.join(RELATIONS)}.",
        },
        "title": {"type": "string", "minLength": 1, "maxLength": rendering.MAX_TITLE},
        "message": {"type": "string", "maxLength": rendering.MAX_MESSAGE},
        "channels": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": list(CHANNELS)},
        },
        "urgent": {"type": "boolean"},
    },
}


def register() -> None:
    action("notify", "Tell people", SCHEMA, notify, needs=[NOTIFICATIONS_MANAGE], look=unknown)


def kind_of(entity_type: str) -> str:
    """What preferences and lists call it."""
    return f"{entity_type}.notice"


def unknown(wanted: Wanted) -> Iterator[Problem]:
    """Recipients that mean nobody here, and names that a template cannot have."""
    given, kind = wanted.parameters, kind_of(wanted.entity_type)
    of_events = set(people.RELATIONS) - set(RELATIONS)
    for place, one in enumerate(given["recipients"]):
        if one in of_events:
            yield Problem(f"/recipients/{place}", f"An event names these. Here: {', '.join(RELATIONS)}.")
    for place in people.unknown(given["recipients"]):
        yield Problem(f"/recipients/{place}", "There is no such person, role or team here.")
    for name in ("title", "message"):
        for said in rendering.problems(given.get(name, ""), kind):
            yield Problem(f"/{name}", said)


def notify(call: ActionCall) -> dict[str, Any]:
    """Runs in the transaction that marks the action done, so a retry tells nobody twice."""
    given = call.parameters
    subject = consume.subject_of(_occasion(call))
    if subject.row is None:
        raise entities.UnknownEntity(f"There is no such {call.entity_type} any more.")
    rule = Builtin(
        trigger_event=subject.event.type,
        recipients=tuple(given["recipients"]),
        title=given["title"],
        template=given.get("message", ""),
        channels=tuple(given.get("channels", (Channel.IN_APP.value,))),
        is_urgent=given.get("urgent", False),
    )
    users = people.meant(rule.recipients, {}, subject.facts)
    told = consume.tell(rule=rule, subject=subject, users=users, channels=rule.channels)
    return {"meant": len(users), "told": len(told)}


def _occasion(call: ActionCall) -> DomainEvent:
    """In place of an event, and never stored as one."""
    return DomainEvent(
        id=call.key,
        type=kind_of(call.entity_type),
        object_type=call.entity_type,
        object_id=call.entity_id,
        at=timezone.now(),
        data={},
        actor_kind=call.actor.kind,
    )
