"""Who is told of what: the organisation's rules."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import Filter
from web.shared.api.viewsets import ApiView, ResourceViewSet
from web.tenant.notifications import queries, rendering, services
from web.tenant.notifications.api.serializers import (
    NotificationDryRunAnswer,
    NotificationDryRunBody,
    NotificationRuleBody,
    NotificationTriggersAnswer,
)
from web.tenant.notifications.models import NotificationRule


class RuleViewSet(ResourceViewSet):
    """When something happens, tell these people, in these words; and others when nobody reacts."""

    queryset = NotificationRule.objects.prefetch_related("steps")
    serializer_class = NotificationRuleBody
    filters = {
        "trigger_event": Filter("trigger_event", many=True),
        "is_active": Filter("is_active", schema={"type": "boolean"}),
    }
    sort_fields = {"created_at": "created_at", "name": "name"}

    def perform_create(self, values: dict[str, Any]) -> NotificationRule:
        steps = values.pop("chain", [])
        return services.rule_create(actor=self.actor, values=values, steps=steps)

    def perform_update(self, row: NotificationRule, values: dict[str, Any]) -> NotificationRule:
        steps = values.pop("chain", None)
        return services.rule_update(actor=self.actor, rule=row, values=values, steps=steps)

    def perform_destroy(self, row: NotificationRule) -> None:
        services.rule_delete(actor=self.actor, rule=row)

    @extend_schema(request=NotificationDryRunBody, responses=NotificationDryRunAnswer)
    @action(detail=True, methods=["post"], url_path="dry-run", url_name="dry-run")
    def dry_run(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What this rule would have done with the events of the last days. Nothing is sent."""
        rule = self.get_object()
        body = NotificationDryRunBody(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(NotificationDryRunAnswer(queries.dry_run(rule, body.validated_data["days"])).data)


class TriggersView(ApiView):
    @extend_schema(responses=NotificationTriggersAnswer)
    def get(self, request: Request) -> Response:
        """The events that rules may listen to, each with the variables of its templates."""
        data = [
            {"type": kind, "label": rendering.label_of(kind), "variables": list(rendering.variables(kind))}
            for kind in services.triggers()
        ]
        return Response({"data": data})
