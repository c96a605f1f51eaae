"""Business rules over REST, their log, and the actions that rules and workflows can do."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from telephony.contract import conditions
from web.shared.api.filters import Filter, refuse_parameters
from web.shared.api.problems import Conflict, FieldError, Invalid
from web.shared.api.serializers import read
from web.shared.api.viewsets import ApiView, ReadOnlyViewSet, ResourceViewSet
from web.shared.core import audit
from web.tenant.workflows import actions, outbox, rules, services
from web.tenant.workflows.api import serializers as bodies
from web.tenant.workflows.api.views import FLAG, MOMENT, TIMES, UUID_SCHEMA
from web.tenant.workflows.choices import RunStatus
from web.tenant.workflows.models import ActionRun, BusinessRule, RuleRun


class RuleViewSet(ResourceViewSet):
    """What follows from what happened."""

    queryset = BusinessRule.objects.all()
    serializer_class = bodies.BusinessRuleBody
    filters = {
        "entity_type": Filter("entity_type", many=True),
        "is_active": Filter("is_active", schema=FLAG),
    }
    sort_fields = {**TIMES, "priority": "priority", "name": "name"}
    default_sort = "priority"

    def perform_create(self, values: dict[str, Any]) -> BusinessRule:
        return services.rule_create(actor=self.actor, viewer=self.viewer, values=values)

    def perform_update(self, row: BusinessRule, values: dict[str, Any]) -> BusinessRule:
        return services.rule_update(actor=self.actor, viewer=self.viewer, rule=row, values=values)

    def perform_destroy(self, row: BusinessRule) -> None:
        services.rule_delete(actor=self.actor, rule=row)

    @extend_schema(request=bodies.RuleDryRunBody, responses=bodies.RuleDryRunAnswer)
    @action(
        detail=True,
        methods=["post"],
        pagination_class=None,
        filter_backends=[],
        url_path="dry-run",
        url_name="dry-run",
    )
    def dry_run(self, request: Request, pk: str) -> Response:
        """Which past events would have fired it, judged by their entities as they are today. Does nothing."""
        rule = self.get_object()
        values = read(bodies.RuleDryRunBody, request)
        tried = values.get("conditions")
        known = {f"{rule.entity_type}.*": object, "event.*": object}
        wrong = conditions.check(tried, known)
        if wrong:
            raise Invalid(
                errors=[FieldError(f"/conditions{one.pointer}", "invalid", one.text) for one in wrong]
            )
        return Response(rules.dry_run(rule, since=values["since"], tried=tried))

    @extend_schema(responses=bodies.RuleRunBody(many=True), filters=False)
    @action(detail=True, filter_backends=[])
    def runs(self, request: Request, pk: str) -> Response:
        """Its log, the newest look first: why it fired, or did not."""
        self.sort_fields, self.default_sort = {"at": "at"}, "-at"  # type: ignore[misc]
        page = self.paginate_queryset(RuleRun.objects.filter(rule=self.get_object()))
        return self.get_paginated_response(bodies.RuleRunBody(page, many=True).data)


class ActionListView(ApiView):
    """What workflows and rules can do here, each with the JSON Schema of its parameters."""

    @extend_schema(responses=bodies.WorkflowActionsBody)
    def get(self, request: Request) -> Response:
        """The actions, by name."""
        refuse_parameters(request)
        data = [
            {
                "name": one.name,
                "label": one.label,
                "schema": dict(one.schema),
                "entity_types": list(one.on),
                "permissions": list(one.needs),
            }
            for one in actions.known()
        ]
        return Response({"data": data})


class ActionRunViewSet(ReadOnlyViewSet):
    """What was done, waits to be done, or could not be done."""

    queryset = ActionRun.objects.all()
    serializer_class = bodies.ActionRunBody
    filters = {
        "status": Filter("status", many=True),
        "action": Filter("action", many=True),
        "entity_type": Filter("entity_type", many=True),
        "entity_id": Filter("entity_id", schema=UUID_SCHEMA),
        "created_at": Filter("created_at", ranges=True, schema=MOMENT),
    }

    @extend_schema(request=None, responses=bodies.ActionRunBody)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def retry(self, request: Request, pk: str) -> Response:
        """Try one that was given up once more, with the same key."""
        with transaction.atomic():
            row = self.locked_object()
            if row.status != RunStatus.FAILED:
                raise Conflict("Only what was given up can be tried again.")
            outbox.again(row)
            audit.record(actor=self.actor, action="retry", obj=row, changes={"action": row.action})
        return self.answer(row)
