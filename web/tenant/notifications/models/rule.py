"""What an organisation wants its people to be told, and who comes next when nobody reacts.

A rule listens to one type of domain event. Its steps are the chain after the first recipients: so many
minutes without an acknowledgement, and the next ones are told. An Escalation is one such chain under way.
"""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from web.shared.core.models import BaseModel, TimestampedModel, UUIDModel
from web.tenant.notifications.choices import CHANNELS

MAX_RECIPIENTS = 50
MAX_STEPS = 10


def check_recipients(value: object) -> None:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_RECIPIENTS:
        raise ValidationError(f"A list of 1 to {MAX_RECIPIENTS} recipients.", code="invalid")
    if any(not isinstance(one, str) or not 0 < len(one) <= 100 for one in value):
        raise ValidationError("A recipient is a text.", code="invalid")


def check_channels(value: object) -> None:
    if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value):
        raise ValidationError("A list of channels, each once.", code="invalid")
    if any(one not in CHANNELS for one in value):
        raise ValidationError(f"One of: {', '.join(CHANNELS)}.", code="invalid_choice")


def in_app() -> list[str]:
    return ["in_app"]


class NotificationRule(BaseModel):
    name = models.CharField(max_length=100)
    trigger_event = models.CharField(max_length=64)
    conditions = models.JSONField(default=dict, blank=True)
    recipients = models.JSONField(default=list, validators=[check_recipients])
    channels = models.JSONField(default=in_app, validators=[check_channels])
    title = models.CharField(max_length=200, blank=True)
    template = models.TextField(max_length=4_000)
    is_active = models.BooleanField(default=True)
    is_urgent = models.BooleanField(default=False, help_text="Quiet hours and digests do not hold it back.")
    include_actor = models.BooleanField(
        default=False, help_text="Also tell the person who did it, when they are a recipient."
    )

    class Meta(BaseModel.Meta):
        indexes = [
            models.Index(
                fields=["trigger_event"],
                condition=Q(is_active=True, is_deleted=False),
                name="rule_by_trigger",
            )
        ]

    @property
    def chain(self) -> list[EscalationStep]:
        """The steps in their order; prefetch `steps` where many rules are read."""
        return sorted(self.steps.all(), key=lambda step: step.position)


class EscalationStep(UUIDModel):
    rule = models.ForeignKey(NotificationRule, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    after_minutes = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(7 * 24 * 60)]
    )
    recipients = models.JSONField(default=list, validators=[check_recipients])
    channels = models.JSONField(default=in_app, validators=[check_channels])

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["rule", "position"], name="one_step_per_position")]


class Escalation(UUIDModel, TimestampedModel):
    """`step` is the position of the next step, due at `due_at`; None when the chain has ended."""

    rule = models.ForeignKey(NotificationRule, on_delete=models.CASCADE, related_name="+")
    event_id = models.UUIDField()
    step = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "event_id"], name="one_escalation_per_rule_and_event")
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(acknowledged_at=None), name="escalation_due")]
