"""Webhooks over REST: endpoints, their deliveries, a test, a new secret, sending again."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import Filter
from web.shared.api.problems import NotFound
from web.shared.api.serializers import Body, ModelBody
from web.shared.api.viewsets import BaseViewSet, ListMixin, ResourceViewSet, RetrieveMixin
from web.shared.core.webhooks import services
from web.shared.records.models import WebhookDelivery, WebhookEndpoint
from web.shared.records.models.webhooks import MAX_TYPES


class EndpointBody(ModelBody):
    url = serializers.CharField(max_length=2000, help_text="https, port 443, a public address.")
    event_types = serializers.ListField(
        child=serializers.CharField(max_length=64),
        min_length=1,
        max_length=MAX_TYPES,
        help_text="Types of /api/v1/events/types/, `<object>.*`, or `*`.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = [
            "id",
            "url",
            "description",
            "event_types",
            "is_active",
            "disabled_because",
            "failing_since",
            "previous_until",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            "id",
            "disabled_because",
            "failing_since",
            "previous_until",
            "created_at",
            "updated_at",
        ]


class EndpointWithSecret(EndpointBody):
    secret = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(EndpointBody.Meta):
        fields = [*EndpointBody.Meta.fields, "secret"]


class SecretBody(Body):
    secret = serializers.CharField(help_text="Shown this once.")
    previous_until = serializers.DateTimeField(help_text="Until then the one before signs along.")


class DeliveryBody(ModelBody):
    endpoint = serializers.PrimaryKeyRelatedField(read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = WebhookDelivery
        fields = [
            "id",
            "endpoint",
            "event_id",
            "event_type",
            "status",
            "attempts",
            "next_at",
            "last_at",
            "response_status",
            "duration_ms",
            "error",
            "created_at",
        ]
        read_only_fields = fields


class WebhookViewSet(ResourceViewSet):
    """Where events are sent to. The body is an item of /api/v1/events/, signed as Standard Webhooks says."""

    queryset = WebhookEndpoint.objects.all()
    serializer_class = EndpointBody
    filters = {"is_active": Filter("is_active", schema={"type": "boolean"})}

    @extend_schema(responses={201: EndpointWithSecret})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        row, secret = services.endpoint_create(actor=self.actor, values=body.validated_data)
        answer = self.answer(row, status=201, headers={"Location": f"{request.path}{row.pk}/"})
        answer.data = {**answer.data, "secret": secret}
        return answer

    def perform_update(self, row: WebhookEndpoint, values: dict[str, Any]) -> WebhookEndpoint:
        return services.endpoint_update(actor=self.actor, endpoint=row, values=values)

    def perform_destroy(self, row: WebhookEndpoint) -> None:
        services.endpoint_delete(actor=self.actor, endpoint=row)

    @extend_schema(request=None, responses={202: DeliveryBody})
    def test(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Send a `webhook.tested` event there; look at the delivery for what came of it."""
        row = self.get_object()
        delivery = services.endpoint_test(actor=self.actor, endpoint=row)
        location = f"/api/v1/webhooks/{row.pk}/deliveries/{delivery.pk}/"
        return Response(DeliveryBody(delivery).data, status=202, headers={"Location": location})

    @extend_schema(request=None, responses={200: SecretBody})
    def rotate_secret(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A new secret; for a day both sign."""
        row, secret = services.secret_rotate(actor=self.actor, endpoint=self.get_object())
        return Response(SecretBody({"secret": secret, "previous_until": row.previous_until}).data)


class DeliveryViewSet(ListMixin, RetrieveMixin, BaseViewSet):
    """What was sent to one webhook, and what came of it."""

    queryset = WebhookDelivery.objects.all()
    serializer_class = DeliveryBody
    filters = {"status": Filter("status", many=True), "event_type": Filter("event_type", many=True)}

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(endpoint=self._endpoint())

    def _endpoint(self) -> WebhookEndpoint:
        try:
            return WebhookEndpoint.objects.get(pk=self.kwargs["webhook"])
        except (WebhookEndpoint.DoesNotExist, ValueError, ValidationError):
            raise NotFound() from None

    @extend_schema(request=None, responses={202: DeliveryBody})
    def replay(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Send it again, from the first try on."""
        row = services.delivery_replay(actor=self.actor, delivery=self.get_object())
        return Response(DeliveryBody(row).data, status=202)
