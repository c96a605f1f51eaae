"""Workflows, what runs of them, and the rules beside them.

A Workflow's own stages, transitions and actions are the draft that people edit. Publishing copies them into a
WorkflowVersion, which never changes again; an instance pins the version it started under. Each step an
instance takes is a WorkflowTransition, numbered: the rows alone tell in which stage it is.

Actions that a step or a rule asks for are ActionRun rows, written in the step's transaction and run after the
commit: an outbox. RuleRun says of each event why a rule fired for it or did not.

A reason and an instance's data may speak of a person; erasure.py empties them. Nothing else here may.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.shared.core.validators import check_object
from web.tenant.workflows.choices import (
    ApprovalStatus,
    RuleOutcome,
    RunStatus,
    StepKind,
    WorkflowStatus,
)

MAX_DATA = 20_000

check_entity_type = RegexValidator(r"\A[a-z][a-z0-9_]*\Z", "An entity's name such as 'case'.")


def check_list(value: object) -> None:
    if not isinstance(value, list):
        raise ValidationError("A list.", code="invalid")


def check_data(value: object) -> None:
    check_object(value)
    if len(str(value)) > MAX_DATA:
        raise ValidationError(f"At most {MAX_DATA} characters.", code="invalid")


class Workflow(BaseModel):
    """`version` is the number of the newest published version, 0 before the first."""

    event_name = "workflow"

    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=2000)
    entity_type = models.CharField(max_length=50, default="case", validators=[check_entity_type])
    stages = models.JSONField(default=list, blank=True, validators=[check_list])
    transitions = models.JSONField(default=list, blank=True, validators=[check_list])
    actions = models.JSONField(default=list, blank=True, validators=[check_list])
    is_active = models.BooleanField(default=True)
    status = models.CharField(
        max_length=12, choices=WorkflowStatus.choices, default=WorkflowStatus.DRAFT, editable=False
    )
    version = models.PositiveIntegerField(default=0, editable=False)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(is_deleted=False),
                name="one_workflow_per_name",
                violation_error_code="unique",
                violation_error_message="Another workflow has this name.",
            )
        ]

    def event_data(self) -> dict[str, Any]:
        return {"status": self.status, "version": self.version, "entity_type": self.entity_type}


class WorkflowVersion(models.Model):
    """A published definition. Inserted once; the application's role cannot change it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    stages = models.JSONField()
    transitions = models.JSONField()
    actions = models.JSONField()
    published_at = models.DateTimeField(default=timezone.now)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "number"], name="one_version_per_number")]

    def __str__(self) -> str:
        return f"workflow version {self.pk}"


class WorkflowInstance(BaseModel):
    """`entity_type` and `entity_id` name what it runs on; `data` is its own. Active while not completed."""

    event_name = "workflow_instance"

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="instances")
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="instances")
    entity_type = models.CharField(max_length=50)
    entity_id = models.UUIDField()
    current_stage = models.CharField(max_length=50)
    data = models.JSONField(default=dict, blank=True, validators=[check_data])
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)
    stage_entered_at = models.DateTimeField(default=timezone.now, editable=False)
    stage_deadline = models.DateTimeField(null=True, blank=True, editable=False)
    overdue_at = models.DateTimeField(null=True, blank=True, editable=False)
    steps = models.PositiveIntegerField(default=0, editable=False)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "entity_type", "entity_id"],
                condition=models.Q(completed_at__isnull=True, is_deleted=False),
                name="one_active_instance_per_entity",
            )
        ]
        indexes = [
            models.Index(fields=["entity_type", "entity_id"], name="instance_by_entity"),
            models.Index(
                fields=["stage_deadline"],
                condition=models.Q(
                    completed_at__isnull=True, overdue_at__isnull=True, stage_deadline__isnull=False
                ),
                name="instance_by_deadline",
            ),
        ]

    def event_data(self) -> dict[str, Any]:
        return {
            "workflow": str(self.workflow_id),
            "entity_type": self.entity_type,
            "entity_id": str(self.entity_id),
            "stage": self.current_stage,
        }


class WorkflowTransition(models.Model):
    """One step, and why it was allowed: `guard` is the evaluated condition without its texts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instance = models.ForeignKey(WorkflowInstance, on_delete=models.PROTECT, related_name="history")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=StepKind.choices)
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=50, blank=True)
    from_stage = models.CharField(max_length=50, blank=True)
    to_stage = models.CharField(max_length=50)
    at = models.DateTimeField(default=timezone.now)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.UUIDField(null=True, blank=True)
    reason = models.TextField(blank=True, max_length=2000)
    guard = models.JSONField(null=True, blank=True)
    approval = models.ForeignKey(
        "ApprovalRequest", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "number"], name="one_step_per_number")]

    def __str__(self) -> str:
        return f"workflow step {self.pk}"


class ApprovalRequest(models.Model):
    """A transition that waits for `needed` people other than who asked. One may wait per instance."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instance = models.ForeignKey(WorkflowInstance, on_delete=models.PROTECT, related_name="approvals")
    transition = models.CharField(max_length=50)
    status = models.CharField(max_length=12, choices=ApprovalStatus.choices, default=ApprovalStatus.PENDING)
    needed = models.PositiveSmallIntegerField()
    requested_by = models.UUIDField(null=True, blank=True)
    requested_at = models.DateTimeField(default=timezone.now)
    reason = models.TextField(blank=True, max_length=2000)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instance"],
                condition=models.Q(status=ApprovalStatus.PENDING),
                name="one_pending_approval_per_instance",
            )
        ]

    def __str__(self) -> str:
        return f"approval request {self.pk}"


class ApprovalVote(models.Model):
    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="votes")
    user_id = models.UUIDField()
    approved = models.BooleanField()
    at = models.DateTimeField(default=timezone.now)
    comment = models.TextField(blank=True, max_length=2000)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "user_id"], name="one_vote_each")]

    def __str__(self) -> str:
        return f"approval vote {self.pk}"


class BusinessRule(BaseModel):
    """When one of `triggers` (event types) happens and `conditions` hold for the entity, `actions` are run.

    `conditions` are those of telephony.contract.conditions; `version` counts changes of what the rule does.
    Rules of one event run in the order of `priority`, the lowest first.
    """

    event_name = "business_rule"

    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=2000)
    entity_type = models.CharField(max_length=50, validators=[check_entity_type])
    triggers = models.JSONField(default=list, validators=[check_list])
    conditions = models.JSONField(default=dict, blank=True, validators=[check_object])
    actions = models.JSONField(default=list, blank=True, validators=[check_list])
    priority = models.IntegerField(default=100, validators=[MinValueValidator(0), MaxValueValidator(10_000)])
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta(BaseModel.Meta):
        indexes = [
            models.Index(
                fields=["priority"],
                condition=models.Q(is_active=True, is_deleted=False),
                name="rule_by_priority",
            )
        ]

    def event_data(self) -> dict[str, Any]:
        return {"is_active": self.is_active, "version": self.version, "entity_type": self.entity_type}


class RuleRun(models.Model):
    """One look of a rule at an event. Kept 30 days."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.ForeignKey(BusinessRule, on_delete=models.CASCADE, related_name="runs")
    rule_version = models.PositiveIntegerField()
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=64)
    entity_type = models.CharField(max_length=50)
    entity_id = models.UUIDField()
    at = models.DateTimeField(default=timezone.now, db_index=True)
    depth = models.PositiveSmallIntegerField(default=0)
    outcome = models.CharField(max_length=12, choices=RuleOutcome.choices)
    explanation = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "event_id", "entity_id"], name="one_look_per_event")
        ]
        indexes = [
            models.Index(fields=["rule", "at"], name="rule_run_by_time"),
            models.Index(fields=["rule", "entity_id", "at"], name="rule_run_by_entity"),
        ]

    def __str__(self) -> str:
        return f"rule run {self.pk}"


class ActionRun(models.Model):
    """One action to do, or done. `cause` and `depth` are those of the event that led to it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    action = models.CharField(max_length=64)
    parameters = models.JSONField(default=dict)
    entity_type = models.CharField(max_length=50)
    entity_id = models.UUIDField()
    rule_run = models.ForeignKey(
        RuleRun, on_delete=models.CASCADE, null=True, blank=True, related_name="actions"
    )
    step = models.ForeignKey(
        WorkflowTransition, on_delete=models.CASCADE, null=True, blank=True, related_name="actions"
    )
    position = models.PositiveSmallIntegerField()
    cause = models.UUIDField()
    depth = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=8, choices=RunStatus.choices, default=RunStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule_run", "position"], name="one_action_per_rule_run"),
            models.UniqueConstraint(fields=["step", "position"], name="one_action_per_step"),
        ]
        indexes = [
            models.Index(
                fields=["not_before"], condition=models.Q(status="pending"), name="action_run_pending"
            ),
            models.Index(fields=["entity_type", "entity_id", "created_at"], name="action_run_by_entity"),
        ]

    def __str__(self) -> str:
        return f"action run {self.pk}"
