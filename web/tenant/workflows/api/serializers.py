"""Workflows, instances and rules as REST shows and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from web.shared.api.serializers import Body, ModelBody
from web.tenant.workflows.choices import ApprovalStatus
from web.tenant.workflows.models import (
    ActionRun,
    ApprovalRequest,
    BusinessRule,
    RuleRun,
    Workflow,
    WorkflowInstance,
    WorkflowTransition,
    WorkflowVersion,
)
from web.tenant.workflows.permissions import VIEW

TIMES = ["created_at", "updated_at"]
MAX_TEXT = 2000


class WorkflowBody(ModelBody):
    """`stages`, `transitions` and `actions` are the draft; `version` is the newest published one."""

    class Meta:
        model = Workflow
        fields = [
            "id",
            "name",
            "description",
            "entity_type",
            "stages",
            "transitions",
            "actions",
            "is_active",
            "status",
            "version",
            *TIMES,
        ]
        read_only_fields = ["id", "status", "version", *TIMES]


class WorkflowSummary(ModelBody):
    """What `?expand=workflow` puts in the place of the id."""

    expand_code = VIEW

    class Meta:
        model = Workflow
        fields = ["id", "name", "entity_type", "status", "version"]


class WorkflowVersionBody(ModelBody):
    class Meta:
        model = WorkflowVersion
        fields = ["id", "number", "stages", "transitions", "actions", "published_at", "published_by"]
        read_only_fields = fields


class WorkflowProblemBody(Body):
    pointer = serializers.CharField()
    text = serializers.CharField()


class WorkflowCheckedBody(Body):
    """What keeps the draft from being published; empty when nothing does."""

    problems = WorkflowProblemBody(many=True)


class WorkflowApprovalBody(ModelBody):
    approvals = serializers.SerializerMethodField()

    class Meta:
        model = ApprovalRequest
        fields = [
            "id",
            "transition",
            "status",
            "needed",
            "approvals",
            "requested_by",
            "requested_at",
            "reason",
            "decided_at",
        ]
        read_only_fields = fields

    def get_approvals(self, row: ApprovalRequest) -> int:
        return sum(vote.approved for vote in row.votes.all())


class WorkflowInstanceBody(ModelBody):
    expandable = {"workflow": "web.tenant.workflows.api.serializers.WorkflowSummary"}

    version = serializers.IntegerField(source="version.number", read_only=True)
    data = serializers.DictField(required=False)  # type: ignore[assignment]
    waiting = serializers.SerializerMethodField(help_text="The transition that waits for approval, if any.")

    class Meta:
        model = WorkflowInstance
        fields = [
            "id",
            "workflow",
            "version",
            "entity_type",
            "entity_id",
            "current_stage",
            "data",
            "waiting",
            "started_at",
            "completed_at",
            "stage_entered_at",
            "stage_deadline",
            "overdue_at",
            *TIMES,
        ]
        read_only_fields = [name for name in fields if name != "data"]

    def get_waiting(self, row: WorkflowInstance) -> str | None:
        pending = [one for one in row.approvals.all() if one.status == ApprovalStatus.PENDING]
        return pending[0].transition if pending else None


class WorkflowStartBody(Body):
    """Start a workflow on an entity of its type."""

    workflow = serializers.UUIDField()
    entity_id = serializers.UUIDField()
    data = serializers.DictField(required=False)  # type: ignore[assignment]


class WorkflowMoveBody(Body):
    """`from_stage`: the stage you saw; when it is another by now, nothing happens."""

    transition = serializers.CharField(max_length=50)
    reason = serializers.CharField(max_length=MAX_TEXT, required=False, allow_blank=True, default="")
    from_stage = serializers.CharField(max_length=50, required=False, default="")


class WorkflowReasonBody(Body):
    reason = serializers.CharField(max_length=MAX_TEXT, required=False, allow_blank=True, default="")


class ApprovalCommentBody(Body):
    comment = serializers.CharField(max_length=MAX_TEXT, required=False, allow_blank=True, default="")


class WorkflowMigrateBody(Body):
    """`version`: its number; the newest when it is not named. `stage_map`: present stage → stage there."""

    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    stage_map = serializers.DictField(child=serializers.CharField(max_length=50), required=False)


class WorkflowMovedBody(Body):
    """The instance afterwards, and the request for approval that was made or decided, if any."""

    instance = WorkflowInstanceBody()
    approval = WorkflowApprovalBody(allow_null=True)


class WorkflowStepBody(ModelBody):
    version = serializers.IntegerField(source="version.number", read_only=True)

    class Meta:
        model = WorkflowTransition
        fields = [
            "id",
            "number",
            "kind",
            "version",
            "name",
            "from_stage",
            "to_stage",
            "at",
            "actor_kind",
            "actor_id",
            "reason",
            "guard",
            "approval",
        ]
        read_only_fields = fields


class WorkflowWayBody(Body):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    to = serializers.CharField()
    allowed = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField())
    approvers = serializers.IntegerField()
    reason_required = serializers.BooleanField()


class WorkflowAvailableBody(Body):
    """The transitions that begin in the present stage, and what stands in the way of each."""

    data = WorkflowWayBody(many=True)  # type: ignore[assignment]


class BusinessRuleBody(ModelBody):
    class Meta:
        model = BusinessRule
        fields = [
            "id",
            "name",
            "description",
            "entity_type",
            "triggers",
            "conditions",
            "actions",
            "priority",
            "is_active",
            "version",
            *TIMES,
        ]
        read_only_fields = ["id", "version", *TIMES]


class RuleDryRunBody(Body):
    """`conditions`: try these instead of the rule's own."""

    since = serializers.DateTimeField()
    conditions = serializers.JSONField(required=False)


class RuleWouldFireBody(Body):
    event_id = serializers.UUIDField()
    type = serializers.CharField()
    at = serializers.DateTimeField()
    entity_id = serializers.UUIDField()
    explanation = serializers.JSONField()


class RuleDryRunAnswer(Body):
    checked = serializers.IntegerField()
    truncated = serializers.BooleanField()
    not_met = serializers.IntegerField()
    gone = serializers.IntegerField()
    would_fire = RuleWouldFireBody(many=True)


class RuleRunBody(ModelBody):
    class Meta:
        model = RuleRun
        fields = [
            "id",
            "rule",
            "rule_version",
            "event_id",
            "event_type",
            "entity_type",
            "entity_id",
            "at",
            "depth",
            "outcome",
            "explanation",
        ]
        read_only_fields = fields


class ActionRunBody(ModelBody):
    class Meta:
        model = ActionRun
        fields = [
            "id",
            "action",
            "entity_type",
            "entity_id",
            "rule_run",
            "step",
            "status",
            "attempts",
            "not_before",
            "created_at",
            "finished_at",
            "result",
            "error",
        ]
        read_only_fields = fields


class WorkflowActionBody(Body):
    """`entity_types`: what it is for, empty for everything; `permissions`: what saving it needs, for all."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    schema = serializers.JSONField()
    entity_types = serializers.ListField(child=serializers.CharField())
    permissions = serializers.ListField(child=serializers.CharField())


class WorkflowActionsBody(Body):
    """What workflows and rules can do here."""

    data = WorkflowActionBody(many=True)  # type: ignore[assignment]


def moved(instance: WorkflowInstance, approval: ApprovalRequest | None, context: Any) -> dict[str, Any]:
    """The body of WorkflowMovedBody."""
    return {
        "instance": WorkflowInstanceBody(instance, context=context).data,
        "approval": None if approval is None else WorkflowApprovalBody(approval, context=context).data,
    }
