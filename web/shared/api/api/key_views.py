"""API keys over REST: made once, listed, changed, revoked; and what each of them asked."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api import keys, request_log
from web.shared.api.api.key_serializers import KeyBody, KeyMade, RequestBody
from web.shared.api.filters import Filter
from web.shared.api.models import APIKey
from web.shared.api.viewsets import ResourceViewSet
from web.shared.tenants.context import current_tenant_id


class KeyViewSet(ResourceViewSet):
    """Keys of machines that use this organisation's API."""

    queryset = APIKey.objects.all()
    serializer_class = KeyBody
    filters = {"is_active": Filter("is_active", schema={"type": "boolean"})}
    sort_fields = {"created_at": "created_at", "name": "name"}

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(tenant_id=current_tenant_id())

    @extend_schema(responses={201: KeyMade})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a key. Its text is in this answer and is never shown again."""
        return super().create(request, *args, **kwargs)

    def perform_create(self, values: dict[str, Any]) -> APIKey:
        key, self._text = keys.key_create(
            actor=self.actor, maker=self.viewer, tenant_id=str(current_tenant_id()), values=values
        )
        return key

    def answer(self, row: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        response = super().answer(row, status=status, headers=headers)
        if status == 201:
            response.data = {**response.data, "key": self._text}
        return response

    def perform_update(self, row: APIKey, values: dict[str, Any]) -> APIKey:
        return keys.key_update(actor=self.actor, maker=self.viewer, key=row, values=values)

    def perform_destroy(self, row: APIKey) -> None:
        keys.key_revoke(actor=self.actor, key=row)

    @extend_schema(responses=RequestBody(many=True), filters=False, operation_id="api_keys_requests_list")
    @action(detail=True, url_path="requests", url_name="requests")
    def requests(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What this key asked in the last 30 days, newest first."""
        page = self.paginate_queryset(request_log.of_key(self.get_object()))
        return self.get_paginated_response(RequestBody(page, many=True).data)
