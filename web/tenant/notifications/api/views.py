"""One's own notifications over REST."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api import etags
from web.shared.api.filters import Filter
from web.shared.api.problems import NotFound
from web.shared.api.viewsets import (
    ApiView,
    BaseViewSet,
    DestroyMixin,
    ListMixin,
    RetrieveMixin,
    UpdateMixin,
)
from web.tenant.notifications import escalation, queries, services
from web.tenant.notifications.api.serializers import (
    MarkedNotificationsAnswer,
    NotificationBody,
    NotificationPreferenceBody,
    UnreadNotificationsAnswer,
)
from web.tenant.notifications.models import Notification, NotificationPreference

_INSTANT = {"type": "string", "format": "date-time"}
_FLAG = {"type": "boolean"}


class NotificationViewSet(ListMixin, RetrieveMixin, UpdateMixin, DestroyMixin, BaseViewSet):
    """What you were told. Nobody sees another person's, whatever their role."""

    queryset = Notification.objects.select_related("escalation").prefetch_related("deliveries")
    serializer_class = NotificationBody
    filters = {
        "is_read": Filter("is_read", schema=_FLAG),
        "notification_type": Filter("notification_type", many=True),
        "entity_type": Filter("entity_type"),
        "entity_id": Filter("entity_id"),
        "is_urgent": Filter("is_urgent", schema=_FLAG),
        "created_at": Filter("created_at", ranges=True, schema=_INSTANT),
    }

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queries.mine(queryset, self.viewer)

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Which entities are seen is asked once for all rows that are shown."""
        rows = args[0] if args else None
        if rows is not None:
            shown = rows if isinstance(rows, list) else [rows]
            self._seen = queries.seen(shown, self.viewer)
        return super().get_serializer(*args, **kwargs)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "seen": getattr(self, "_seen", frozenset())}

    def perform_update(self, row: Notification, values: dict[str, Any]) -> Notification:
        return services.mark(actor=self.actor, notification=row, is_read=values.get("is_read", row.is_read))

    def perform_destroy(self, row: Notification) -> None:
        services.dismiss(actor=self.actor, notification=row)

    @extend_schema(request=None, responses=NotificationBody)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Say that you take care of it; nobody further is told then."""
        escalation.acknowledge(actor=self.actor, notification=self.get_object())
        return self.answer(self.get_object())


class ReadAllView(ApiView):
    @extend_schema(request=None, responses=MarkedNotificationsAnswer)
    def post(self, request: Request) -> Response:
        """Mark all of your notifications read."""
        return Response({"marked": services.mark_all(actor=self.actor)})


class UnreadView(ApiView):
    @extend_schema(responses=UnreadNotificationsAnswer)
    def get(self, request: Request) -> Response:
        """How many of your notifications you have not read."""
        return Response({"unread": queries.unread(self.viewer)})


class PreferencesView(ApiView):
    # Tells the API's description that If-Match is asked for; the rows read are always one's own.
    queryset = NotificationPreference.objects.none()

    @extend_schema(responses=NotificationPreferenceBody)
    def get(self, request: Request) -> Response:
        """How you want to be told: channels per type, quiet hours, digest."""
        return self._shown(services.preference_of(self._person()))

    @extend_schema(request=NotificationPreferenceBody, responses=NotificationPreferenceBody)
    def patch(self, request: Request) -> Response:
        """Change what is named. Needs If-Match."""
        with transaction.atomic():
            row = services.preference_locked(self._person())
            etags.require_match(request, row)
            body = NotificationPreferenceBody(row, data=request.data, partial=True)
            body.is_valid(raise_exception=True)
            row = services.preference_update(actor=self.actor, preference=row, values=body.validated_data)
        return self._shown(row)

    def _person(self) -> uuid.UUID:
        """Who asks; a key of the API is nobody and has no preferences."""
        if self.viewer.user_id is None:
            raise NotFound()
        return self.viewer.user_id

    def _shown(self, row: Any) -> Response:
        return Response(NotificationPreferenceBody(row).data, headers={"ETag": etags.etag_of(row)})
