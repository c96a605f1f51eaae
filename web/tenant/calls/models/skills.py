"""What agents can do, and what queues ask for.

An agent serves a queue when they are its member and have every skill that it asks for, at the least level or
above. That is worked out when something is published (publishing.py): the daemon is told who serves what.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from web.shared.core.models import BaseModel
from web.tenant.calls.models.routing import CallQueue, between

LEVELS = (1, 10)


class Skill(BaseModel):
    event_name = "skill"

    code = models.CharField(
        max_length=40, validators=[RegexValidator(r"\A[a-z0-9_-]+\Z", "a-z, 0-9, _ and -.")]
    )
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True, help_text="A skill that is not active is asked of nobody.")

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["code"], condition=models.Q(is_deleted=False), name="one_skill_per_code"
            )
        ]

    def event_data(self) -> dict[str, Any]:
        return {"is_active": self.is_active}


class AgentSkill(BaseModel):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="agents")
    level = models.PositiveSmallIntegerField(default=LEVELS[1], validators=between(*LEVELS))

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["user", "skill"], condition=models.Q(is_deleted=False), name="a_skill_once_per_agent"
            )
        ]


class QueueSkill(models.Model):
    """A queue asks for a skill; the list is part of the queue and replaced as a whole."""

    queue = models.ForeignKey(CallQueue, on_delete=models.CASCADE, related_name="skills")
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="queues")
    least_level = models.PositiveSmallIntegerField(default=LEVELS[0], validators=between(*LEVELS))

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["queue", "skill"], name="a_skill_once_per_queue")]

    def __str__(self) -> str:
        return f"{self.queue_id} asks for {self.skill_id}"
