"""What a queue asks of its agents, and who has it: the part that both publishing and the writes stand on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from web.shared.core import services as base
from web.tenant.calls.models import AgentSkill, CallQueue, QueueSkill
from web.tenant.calls.models.skills import LEVELS

MOST = 20
"""Skills that one queue may ask for."""


def replace(queue: CallQueue, wanted: Sequence[Mapping[str, Any]]) -> bool:
    """Make the queue ask for `wanted`: [{skill, least_level}]; True when anything differed. The caller locks
    the queue, audits and publishes."""
    if len(wanted) > MOST:
        raise base.refuse(skills=f"At most {MOST} skills.")
    asked = {one["skill"].pk: one.get("least_level", LEVELS[0]) for one in wanted}
    if len(asked) < len(wanted):
        raise base.refuse(skills="The same skill is there twice.")
    if asked == dict(queue.skills.values_list("skill", "least_level")):
        return False
    queue.skills.all().delete()
    for skill, least_level in asked.items():
        row = QueueSkill(queue=queue, skill_id=skill, least_level=least_level)
        row.full_clean(validate_unique=False, validate_constraints=False)
        row.save(force_insert=True)
    return True


def served_by(user_id: uuid.UUID, queues: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of `queues` whose every skill this person has well enough. Two queries."""
    asked_of = set(queues)
    has = dict(AgentSkill.objects.filter(user_id=user_id).values_list("skill", "level"))
    asked = QueueSkill.objects.filter(queue__in=asked_of, skill__is_active=True, skill__is_deleted=False)
    lacking = {row.queue_id for row in asked if has.get(row.skill_id, 0) < row.least_level}
    return asked_of - lacking
