"""Writes about skills; each publishes whoever may now serve more or fewer queues."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from web.shared.api.problems import Conflict
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.calls.models import AgentSkill, QueueMembership, Skill
from web.tenant.calls.models.skills import LEVELS
from web.tenant.calls.publishing import publish_roster, publish_rosters
from web.tenant.calls.routing import require_member

BEST = LEVELS[1]


def skill_create(*, actor: Actor, values: Mapping[str, Any]) -> Skill:
    return base.create(Skill, actor=actor, values=values)


def skill_update(*, actor: Actor, skill: Skill, values: Mapping[str, Any]) -> Skill:
    with transaction.atomic():
        locked = base.lock(Skill.objects.all(), pk=skill.pk)
        was_active = locked.is_active
        base.update(locked, actor=actor, values=values)
        if locked.is_active != was_active:
            _publish_members(locked.queues.values_list("queue", flat=True))
    return locked


def skill_delete(*, actor: Actor, skill: Skill) -> None:
    """Conflict while a queue asks for it or somebody has it: make it inactive instead."""
    with transaction.atomic():
        locked = base.lock(Skill.objects.all(), pk=skill.pk)
        used = AgentSkill.objects.filter(skill=locked).count() + locked.queues.count()
        if used:
            raise Conflict(f"Queues and agents use this skill {used} times. Make it inactive instead.")
        base.soft_delete(locked, actor=actor)


def agent_skill_add(*, actor: Actor, user_id: uuid.UUID, skill: Skill, level: int) -> AgentSkill:
    """Conflict when they have it already; ValidationError when they are nobody here."""
    require_member(user_id)
    with transaction.atomic():
        base.lock(Skill.objects.all(), pk=skill.pk)
        if AgentSkill.objects.filter(user_id=user_id, skill=skill).exists():
            raise Conflict("This person has this skill already. Change its level.")
        values = {"user_id": user_id, "skill": skill, "level": level}
        row = base.create(AgentSkill, actor=actor, values=values)
        publish_roster(user_id)
    return row


def agent_skill_update(*, actor: Actor, row: AgentSkill, values: Mapping[str, Any]) -> AgentSkill:
    with transaction.atomic():
        base.update(row, actor=actor, values=values)
        publish_roster(row.user_id)
    return row


def agent_skill_remove(*, actor: Actor, row: AgentSkill) -> None:
    with transaction.atomic():
        base.soft_delete(row, actor=actor)
        publish_roster(row.user_id)


def _publish_members(queues: Any) -> None:
    publish_rosters(QueueMembership.objects.filter(queue__in=list(queues)).values_list("user", flat=True))
