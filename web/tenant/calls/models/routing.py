"""What is published to the daemon: queues, numbers, memberships, devices.

Every write goes through services.py, which publishes the changed policy or roster row in the same
transaction: the daemon can never serve something else than what the tables say. A queue's id is its name
towards the daemon and never changes; the name people see is free.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from telephony.contract.policy import FallbackKind, Strategy
from web.shared.core.models import BaseModel
from web.tenant.calls.choices import DEVICE_KINDS, FALLBACKS, STRATEGIES


def between(low: int, high: int) -> list[MinValueValidator | MaxValueValidator]:
    """Validators of a whole number from `low` to `high`."""
    return [MinValueValidator(low), MaxValueValidator(high)]


class CallQueue(BaseModel):
    """Where callers wait. All durations are whole seconds."""

    name = models.CharField(max_length=100)
    strategy = models.CharField(max_length=20, choices=STRATEGIES, default=Strategy.LONGEST_IDLE.value)
    ring_seconds = models.PositiveIntegerField(default=20, validators=between(5, 120))
    max_wait_seconds = models.PositiveIntegerField(default=300, validators=between(10, 7200))
    priority = models.PositiveIntegerField(
        default=0, validators=between(0, 3600), help_text="Seconds of head start over other queues' callers."
    )
    wrap_up_seconds = models.PositiveIntegerField(
        default=30, validators=between(0, 3600), help_text="0: no after-call work."
    )
    wrap_up_extend_seconds = models.PositiveIntegerField(default=30, validators=between(5, 600))
    wrap_up_extensions = models.PositiveIntegerField(default=3, validators=between(0, 20))
    music = models.CharField(
        max_length=40,
        default="default",
        validators=[RegexValidator(r"\A[a-z0-9_-]+\Z", "a-z, 0-9, _ and -.")],
    )
    fallback = models.CharField(max_length=20, choices=FALLBACKS, default=FallbackKind.QUEUE.value)
    hours = models.ForeignKey(
        "cases.BusinessCalendar",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Outside of them callers hear that we are closed; none: open day and night.",
    )
    is_active = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(is_deleted=False), name="one_queue_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class QueueMembership(BaseModel):
    """A user serves a queue; members with a lower penalty are asked first."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    queue = models.ForeignKey(CallQueue, on_delete=models.PROTECT, related_name="members")
    penalty = models.PositiveIntegerField(default=0, validators=between(0, 100))

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["user", "queue"],
                condition=models.Q(is_deleted=False),
                name="one_membership_per_user_and_queue",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.queue_id}"


class AgentDevice(BaseModel):
    """A phone of a user. Only the digest of its secret exists here; a browser's changes at every shift."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    endpoint = models.CharField(
        max_length=13,
        unique=True,
        editable=False,
        validators=[RegexValidator(r"\Ad[0-9a-f]{12}\Z", "d and twelve hexadecimal characters.")],
    )
    kind = models.CharField(max_length=10, choices=DEVICE_KINDS)
    label = models.CharField(max_length=60, blank=True)
    digest = models.CharField(max_length=32, editable=False)
    desktop_required = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(kind="browser", is_deleted=False),
                name="one_browser_phone_per_user",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.endpoint}"


class NumberRoute(BaseModel):
    """Calls to this number on this trunk wait in this queue. That the number is ours at all is said by the
    shared table of inbound numbers, written in the same transaction."""

    trunk = models.CharField(
        max_length=64, validators=[RegexValidator(r"\A[a-z0-9_-]+\Z", "a-z, 0-9, _ and -.")]
    )
    number = models.CharField(
        max_length=16, validators=[RegexValidator(r"\A\+[1-9][0-9]{2,14}\Z", "E.164, beginning with '+'.")]
    )
    label = models.CharField(max_length=60, blank=True)
    queue = models.ForeignKey(CallQueue, on_delete=models.PROTECT, related_name="numbers")

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["trunk", "number"],
                condition=models.Q(is_deleted=False),
                name="one_route_per_trunk_and_number",
            )
        ]

    def __str__(self) -> str:
        return f"Route {self.pk}"
