"""Promises about time, and the clocks that hold cases to them.

A policy says how long until the first response, the next ones and the resolution, in open time of its
calendar or in plain time. CaseMoment is what clocks are made of: written by the consumer `sla` from domain
events, once each, never changed. CaseSla is the result of folding them (clocks.py) under the policy that fits
the case now: it can be made again at any time, but for what was already told (`warned_at`, `told_at`).
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from telephony.contract import hours
from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.tenant.cases.choices import CasePriority, ClockKind, ClockState, MomentKind, StepKind
from web.tenant.cases.models.case import Case, user_key

MAX_MINUTES = 60 * 24 * 366
MAX_STEPS = 10


def _target() -> Any:
    return models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(MAX_MINUTES)]
    )


class BusinessCalendar(BaseModel):
    """Opening hours; `weekly` and `exceptions` as telephony.contract.hours reads them."""

    event_name = "business_calendar"

    name = models.CharField(max_length=100)
    zone = models.CharField(max_length=64)
    weekly = models.JSONField(default=dict, blank=True)
    exceptions = models.JSONField(default=dict, blank=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(is_deleted=False),
                name="one_calendar_per_name",
                violation_error_code="unique",
                violation_error_message="Another calendar has this name.",
            )
        ]

    def clean(self) -> None:
        try:
            calendar = self.as_hours()
        except ValueError as wrong:
            field, _, said = str(wrong).partition(":")
            field = field if field in ("zone", "weekly", "exceptions") else "weekly"
            raise ValidationError({field: [ValidationError(said.strip(), code="invalid")]}) from None
        if not any(calendar.weekly):
            raise ValidationError({"weekly": [ValidationError("It never opens.", code="invalid")]})

    def as_hours(self) -> hours.Calendar:
        return hours.calendar_from({"zone": self.zone, "weekly": self.weekly, "exceptions": self.exceptions})


class SlaPolicy(BaseModel):
    """Fits cases of its priority and its type (and types below it); empty fits all. The closest fit wins."""

    event_name = "sla_policy"

    name = models.CharField(max_length=100)
    priority = models.CharField(max_length=20, choices=CasePriority.choices, blank=True)
    case_type = models.ForeignKey(
        "reference_data.CaseCategory", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    calendar = models.ForeignKey(
        BusinessCalendar, on_delete=models.PROTECT, null=True, blank=True, related_name="policies"
    )
    first_response_minutes = _target()
    next_response_minutes = _target()
    resolution_minutes = _target()
    business_time = models.BooleanField(default=True)
    escalations = models.JSONField(default=list, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        verbose_name_plural = "SLA policies"
        constraints = [
            models.UniqueConstraint(
                fields=["priority", "case_type"],
                condition=Q(is_deleted=False),
                nulls_distinct=False,
                name="one_policy_per_fit",
                violation_error_code="unique",
                violation_error_message="Another policy has this priority and type.",
            )
        ]

    def minutes_of(self, kind: str) -> int | None:
        """The target of a clock, in minutes."""
        found: int | None = getattr(self, f"{kind}_minutes")
        return found


class CaseMoment(models.Model):
    """Something clocks start, stop or pause at. `event` is the domain event it came from."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="moments")
    kind = models.CharField(max_length=12, choices=MomentKind.choices)
    status = models.CharField(max_length=20, blank=True)
    at = models.DateTimeField()
    event = models.UUIDField()

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "case"], name="a_moment_once")]
        indexes = [models.Index(fields=["case", "at"], name="moments_of_case")]

    def __str__(self) -> str:
        return f"{self.kind} {self.case_id}"


class CaseSla(models.Model):
    """One clock of one case. `cycle` counts the times a next response was awaited."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="clocks")
    kind = models.CharField(max_length=20, choices=ClockKind.choices)
    policy = models.ForeignKey(
        SlaPolicy,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Empty: the hours of the priority itself.",
    )
    state = models.CharField(max_length=10, choices=ClockState.choices)
    cycle = models.PositiveIntegerField(default=1)
    target_seconds = models.PositiveIntegerField()
    elapsed_seconds = models.PositiveIntegerField(default=0, help_text="At the last start or stop.")
    started_at = models.DateTimeField()
    warn_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, db_index=True)
    paused_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    breached_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    next_step_at = models.DateTimeField(
        null=True, help_text="When the next step of the policy is to be taken."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "kind"], name="one_clock_of_a_kind")]
        indexes = [
            models.Index(
                fields=["warn_at"], name="sla_to_warn", condition=Q(state="running", warned_at__isnull=True)
            ),
            models.Index(
                fields=["due_at"], name="sla_to_tell", condition=Q(state="running", told_at__isnull=True)
            ),
            models.Index(
                fields=["next_step_at"],
                name="sla_to_escalate",
                condition=Q(state="running", next_step_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.case_id}"


class SlaEscalation(models.Model):
    """A step of a policy that was taken, once per clock, cycle and step. `outcome` says when it could not."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    clock = models.ForeignKey(CaseSla, on_delete=models.CASCADE, related_name="escalations")
    cycle = models.PositiveIntegerField()
    step = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=20, choices=StepKind.choices)
    user = user_key()
    outcome = models.CharField(max_length=40, default="done")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["clock", "cycle", "step"], name="a_step_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.clock_id}"


class SlaRefold(models.Model):
    """A policy or calendar changed: every unfinished case is folded again, in portions, from `after` on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    after = models.UUIDField(null=True)
    asked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"refold {self.pk}"
