"""Business rules: what follows from what happened.

The consumer "rules" is given every domain event, in order. Of the active rules that an event triggers, each
is asked whether its conditions hold for the entity as it is now; when they do, its actions go to the outbox.
Each look leaves a RuleRun with the evaluated condition without its texts, so that "why did it not fire?" has
an answer. What a rule does carries the event as its cause: a chain deeper than MAX_DEPTH is cut, and so is a
rule that fired RATE times for the same entity within a minute; both are logged as cut, never in silence.

A dry run asks the same questions of past events and does nothing. It asks them of the entity as it is today,
because yesterday's is not kept.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from telephony.contract import conditions
from web.shared.core import entities, events
from web.shared.core.viewer import Viewer, everything
from web.tenant.workflows import outbox
from web.tenant.workflows.choices import RuleOutcome
from web.tenant.workflows.models import BusinessRule, RuleRun
from web.tenant.workflows.outbox import MAX_DEPTH

RATE = 10
RATE_WINDOW = timedelta(minutes=1)
DRY_RUN_EVENTS = 1_000

logger = structlog.get_logger(__name__)


def wanted(kinds: set[str]) -> set[str]:
    """Those types that some active rule is triggered by."""
    return kinds & _by_trigger().keys()


def consume(batch: list[Any]) -> None:
    """The consumer's handler: look at each event with each rule that it triggers."""
    triggered = _by_trigger()
    if not triggered:
        return
    world = World()
    for event in batch:
        for rule in triggered.get(event.type, ()):
            _look(rule, event, world)


def _by_trigger() -> dict[str, list[BusinessRule]]:
    found: dict[str, list[BusinessRule]] = defaultdict(list)
    for rule in BusinessRule.objects.filter(is_active=True).order_by("priority", "created_at", "pk"):
        for name in rule.triggers:
            found[name].append(rule)
    return found


@dataclass
class World:
    """The entities looked at, so that many rules for one event read its entity once."""

    viewer: Viewer = field(default_factory=everything)
    facts: dict[tuple[str, uuid.UUID, Any], dict[str, Any] | None] = field(default_factory=dict)

    def facts_of(self, name: str, pk: uuid.UUID, event: Any) -> dict[str, Any] | None:
        """What conditions may ask about; None when the entity is gone."""
        key = (name, pk, event.id)
        if key not in self.facts:
            self.facts.clear()
            try:
                row = entities.row(name, pk, self.viewer)
                self.facts[key] = {**entities.facts_of(name, row), **_event_facts(event)}
            except entities.UnknownEntity:
                self.facts[key] = None
        return self.facts[key]


def _event_facts(event: Any) -> dict[str, Any]:
    return {
        "event.type": event.type,
        "event.at": event.at,
        "event.actor_kind": event.actor_kind,
        "event.actor_id": event.actor_id,
        "event.fields": event.data.get("fields", []),
        "event.data": event.data,
    }


def subject(entity_type: str, event: Any) -> uuid.UUID | None:
    """Which entity of this type an event is about: its object, or the one that its data names."""
    if event.object_type == entity_type:
        return event.object_id if event.object_id is None else uuid.UUID(str(event.object_id))
    if event.data.get("entity_type") == entity_type:
        return _uuid(event.data.get("entity_id"))
    return _uuid(event.data.get(f"{entity_type}_id")) or _uuid(event.data.get(entity_type))


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _look(rule: BusinessRule, event: Any, world: World) -> RuleRun | None:
    """One rule and one event; None when the event is about nothing of the rule's type, or was looked at."""
    entity_id = subject(rule.entity_type, event)
    if entity_id is None:
        return None
    if RuleRun.objects.filter(rule=rule, event_id=event.id, entity_id=entity_id).exists():
        return None
    try:
        with transaction.atomic():
            outcome, why = _verdict(rule, event, entity_id, world)
            run = _written(rule, event, entity_id, outcome, why)
            if outcome == RuleOutcome.FIRED:
                outbox.enqueue(
                    rule.actions,
                    entity_type=rule.entity_type,
                    entity_id=entity_id,
                    cause=event,
                    rule_run=run,
                )
            return run
    except Exception as error:  # one rule's entity may not hold up the others' events
        logger.warning("rule_failed", rule=str(rule.pk), event_id=str(event.id), error=type(error).__name__)
        why = {"error": type(error).__name__}
        return _written(rule, event, entity_id, RuleOutcome.FAILED, why)


def _verdict(
    rule: BusinessRule, event: Any, entity_id: uuid.UUID, world: World
) -> tuple[RuleOutcome, dict[str, Any]]:
    if event.depth > MAX_DEPTH:
        logger.warning("rule_cut", rule=str(rule.pk), event_id=str(event.id), depth=event.depth)
        return RuleOutcome.CUT_DEPTH, {"depth": event.depth, "limit": MAX_DEPTH}
    facts = world.facts_of(rule.entity_type, entity_id, event)
    if facts is None:
        return RuleOutcome.GONE, {}
    tree = conditions.without_text(conditions.explain(rule.conditions, facts, timezone.now()))
    if not tree["value"]:
        return RuleOutcome.NOT_MET, tree
    recent = RuleRun.objects.filter(
        rule=rule, entity_id=entity_id, outcome=RuleOutcome.FIRED, at__gt=timezone.now() - RATE_WINDOW
    )
    if recent.count() >= RATE:
        logger.warning("rule_cut", rule=str(rule.pk), event_id=str(event.id), rate=RATE)
        return RuleOutcome.CUT_RATE, {"limit": RATE, "seconds": int(RATE_WINDOW.total_seconds())}
    return RuleOutcome.FIRED, tree


def _written(
    rule: BusinessRule, event: Any, entity_id: uuid.UUID, outcome: RuleOutcome, why: Mapping[str, Any]
) -> RuleRun:
    return RuleRun.objects.create(
        rule=rule,
        rule_version=rule.version,
        event_id=event.id,
        event_type=event.type,
        entity_type=rule.entity_type,
        entity_id=entity_id,
        depth=event.depth,
        outcome=outcome,
        explanation=dict(why),
    )


def dry_run(rule: BusinessRule, *, since: datetime, tried: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Which events since then would have fired `rule` (with the conditions of `tried`, when given).

    {checked, truncated, not_met, gone, would_fire: [{event_id, type, at, entity_id, explanation}]}; of more
    than DRY_RUN_EVENTS events the oldest are looked at. Nothing is written, and no action runs.
    """
    wanted = rule.conditions if tried is None else tried
    past = events.settled().filter(type__in=rule.triggers, at__gte=since).order_by("at", "sequence")
    found = list(past[: DRY_RUN_EVENTS + 1])
    world, fired, counted = World(), [], {"not_met": 0, "gone": 0}
    for event, entity_id in _subjects(rule, found[:DRY_RUN_EVENTS]):
        facts = world.facts_of(rule.entity_type, entity_id, event)
        if facts is None:
            counted["gone"] += 1
            continue
        tree = conditions.explain(wanted, facts, event.at)
        if not tree["value"]:
            counted["not_met"] += 1
            continue
        fired.append(
            {
                "event_id": str(event.id),
                "type": event.type,
                "at": event.at,
                "entity_id": str(entity_id),
                "explanation": conditions.without_text(tree),
            }
        )
    checked = len(fired) + sum(counted.values())
    return {"checked": checked, "truncated": len(found) > DRY_RUN_EVENTS, **counted, "would_fire": fired}


def _subjects(rule: BusinessRule, found: Iterable[Any]) -> list[tuple[Any, uuid.UUID]]:
    pairs = [(event, subject(rule.entity_type, event)) for event in found]
    return [(event, entity_id) for event, entity_id in pairs if entity_id is not None]
