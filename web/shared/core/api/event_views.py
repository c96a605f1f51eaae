"""The feed of domain events, and the catalogue of their types.

An event reads here as it is sent to a webhook (`as_json`). The feed begins 30 days ago, goes forward in time,
and always answers with a cursor: who keeps it asks again later and gets what came since, each event once.
Events appear when no older transaction can still put one in front of them, a moment after their commit.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import refused_parameter, unknown_parameter
from web.shared.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from web.shared.api.problems import BadCursor
from web.shared.api.serializers import Body
from web.shared.api.viewsets import ApiView
from web.shared.core import events
from web.shared.core.event_json import as_json, data_schema
from web.shared.records.models import DomainEvent
from web.shared.tenants.context import current_tenant_id

PARAMETERS = {"type", "object_type", "object_id", "cursor", "limit"}


class ObjectBody(Body):
    type = serializers.CharField()
    id = serializers.UUIDField(allow_null=True)


class EventActorBody(Body):
    kind = serializers.CharField()
    id = serializers.UUIDField(allow_null=True)


class EventBody(Body):
    id = serializers.UUIDField()
    type = serializers.CharField()
    api_version = serializers.CharField()
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField()
    object = ObjectBody()
    actor = EventActorBody()
    data = serializers.DictField()  # type: ignore[assignment]


class EventPage(Body):
    data = EventBody(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True, help_text="Keep it: ask with it again later.")
    has_more = serializers.BooleanField()


class EventTypeBody(Body):
    type = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    data = serializers.DictField(help_text="JSON Schema of the event's `data`.")  # type: ignore[assignment]


class EventTypes(Body):
    data = EventTypeBody(many=True)  # type: ignore[assignment]


class EventFeedView(ApiView):
    """What became true in the last 30 days, oldest first."""

    @extend_schema(
        operation_id="events_list",
        responses=EventPage,
        parameters=[
            OpenApiParameter("type", str, description="Comma-separated types, any of which may match."),
            OpenApiParameter("object_type", str),
            OpenApiParameter("object_id", uuid.UUID),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description=f"1 to {MAX_LIMIT}; {DEFAULT_LIMIT} unless told."),
        ],
    )
    def get(self, request: Request) -> Response:
        limit, rows = _limit(request), _narrowed(request)
        after = _read(request.query_params.get("cursor", ""))
        if after is not None:
            rows = rows.extra(where=["(transaction_id, sequence) > (%s::text::xid8, %s)"], params=after)
        page = list(rows.order_by("transaction_id", "sequence")[: limit + 1])
        shown = page[:limit]
        cursor = _write(shown[-1]) if shown else request.query_params.get("cursor") or None
        body = {
            "data": [as_json(row) for row in shown],
            "next_cursor": cursor,
            "has_more": len(page) > limit,
        }
        return Response(body)


class EventTypesView(ApiView):
    """Every type of event there is, with the JSON Schema of its data."""

    @extend_schema(operation_id="events_types", responses=EventTypes)
    def get(self, request: Request) -> Response:
        found = [
            {"type": entry.name, "label": entry.label, "data": data_schema(entry)}
            for _, entry in sorted(events.catalogue.items())
        ]
        return Response({"data": found})


def _narrowed(request: Request) -> QuerySet[DomainEvent]:
    asked = request.query_params
    for name in asked:
        if name not in PARAMETERS:
            raise unknown_parameter(name, PARAMETERS)
    rows = events.settled().filter(at__gte=timezone.now() - events.KEPT)
    if "type" in asked:
        kinds = asked["type"].split(",")
        if any(kind not in events.catalogue for kind in kinds):
            raise refused_parameter("type", "bad_value", "There is no such type; see /api/v1/events/types/.")
        rows = rows.filter(type__in=kinds)
    if "object_type" in asked:
        if "\x00" in asked["object_type"]:
            raise refused_parameter("object_type", "bad_value", "This value cannot be read.")
        rows = rows.filter(object_type=asked["object_type"])
    if "object_id" in asked:
        try:
            rows = rows.filter(object_id=uuid.UUID(asked["object_id"]))
        except ValueError:
            raise refused_parameter("object_id", "bad_value", "This value cannot be read.") from None
    return rows


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise refused_parameter("limit", "out_of_range", f"1 to {MAX_LIMIT}.")
    return int(text)


def _salt() -> str:
    return f"events:{current_tenant_id()}"


def _write(row: DomainEvent) -> str:
    return signing.dumps([str(row.transaction_id), row.sequence], salt=_salt())


def _read(cursor: str) -> list[Any] | None:
    if not cursor:
        return None
    try:
        transaction_id, sequence = signing.loads(cursor, salt=_salt())
    except (signing.BadSignature, ValueError, TypeError):
        raise BadCursor() from None
    return [transaction_id, sequence]
