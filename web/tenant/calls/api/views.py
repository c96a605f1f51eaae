"""Calls over REST: the calls themselves, what happened in them, and what an agent writes about them."""

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
from web.shared.api.viewsets import ReadOnlyViewSet, ResourceViewSet
from web.shared.core.api.transfer_views import ExportView
from web.tenant.calls import exporting, queries, services
from web.tenant.calls.api.serializers import (
    CallBody,
    CallPatch,
    DispositionBody,
    DraftBody,
    EventBody,
    EventsAnswer,
    ReasonBody,
    SegmentBody,
    SegmentsAnswer,
    TransferBody,
    TransfersAnswer,
    VisitBody,
    VisitsAnswer,
)
from web.tenant.calls.models import Call, CallDisposition, CallEvent, NotReadyReason

_INSTANT = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}


class CallViewSet(ReadOnlyViewSet):
    """Calls: an agent's own and those of the people they served; a supervisor's are all."""

    queryset = Call.objects.select_related("contact", "queue", "agent", "disposition")
    serializer_class = CallBody
    filters = {
        "status": Filter("status", many=True),
        "outcome": Filter("outcome", many=True),
        "direction": Filter("direction", many=True),
        "queue": Filter("queue", many=True, schema=_ID),
        "agent": Filter("agent", many=True, schema=_ID),
        "contact": Filter("contact", many=True, schema=_ID),
        "case": Filter("case", many=True, null=True, schema=_ID),
        "q": Filter(apply=queries.search),
        "disposition": Filter("disposition__code", many=True),
        "started_at": Filter("started_at", ranges=True, schema=_INSTANT),
        "ended_at": Filter("ended_at", ranges=True, schema=_INSTANT),
    }
    sort_fields = {"started_at": "started_at", "ended_at": "ended_at"}
    default_sort = "-started_at"

    def visible(self, queryset: QuerySet[Call]) -> QuerySet[Call]:
        return queries.visible_calls(queryset, self._user(), self.scope)

    def get_serializer_context(self) -> dict[str, Any]:
        request: Any = self.request
        tenant = getattr(getattr(request, "_request", None), "tenant", None)
        own = {"tenant": getattr(tenant, "pk", ""), "viewer": self.viewer}
        return super().get_serializer_context() | own

    @extend_schema(request=CallPatch, responses=CallBody)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Correct the contact, the case, the disposition or the note."""
        body = CallPatch(data=request.data, context={"viewer": self.viewer})
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            call = self.locked_object()
            etags.require_match(request, call)
            services.call_update(actor=self.actor, call=call, values=body.validated_data)
        return self.answer(self.get_object())

    @extend_schema(responses=EventsAnswer, filters=False, operation_id="calls_events_list")
    @action(detail=True, pagination_class=None, url_path="events", url_name="events")
    def events(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Everything that happened in this call, in order. Not paged: a call has tens of events."""
        rows = CallEvent.objects.filter(call=self.get_object()).order_by("seq")
        body = EventBody(rows, many=True, context={"names": queries.agent_names()})
        return _whole(body)

    @extend_schema(responses=VisitsAnswer, filters=False, operation_id="calls_visits_list")
    @action(detail=True, pagination_class=None, url_path="visits", url_name="visits")
    def visits(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The queues that this call waited in, in order."""
        rows = self.get_object().visits.select_related("queue", "agent").order_by("number")
        return _whole(VisitBody(rows, many=True))

    @extend_schema(responses=SegmentsAnswer, filters=False, operation_id="calls_segments_list")
    @action(detail=True, pagination_class=None, url_path="segments", url_name="segments")
    def segments(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The legs of this call: who was rung, who talked, and for how long."""
        rows = self.get_object().segments.select_related("queue", "agent").order_by("offered_at", "leg")
        return _whole(SegmentBody(rows, many=True))

    @extend_schema(responses=TransfersAnswer, filters=False, operation_id="calls_transfers_list")
    @action(detail=True, pagination_class=None, url_path="transfers", url_name="transfers")
    def transfers(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Whom this call was handed on to."""
        rows = self.get_object().transfers.order_by("created_at", "pk")
        return _whole(TransferBody(rows, many=True))

    @extend_schema(responses=DraftBody, operation_id="calls_draft_read")
    @action(detail=True, url_path="draft", url_name="draft")
    def draft(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """My draft about this call; revision 0 when there is none."""
        draft = queries.draft_of(self._call_id(), self._user())
        return Response(services.draft_document(draft))

    @extend_schema(request=DraftBody, responses=DraftBody, operation_id="calls_draft_write")
    @draft.mapping.put
    def write_draft(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Store my draft, made from `revision`; 409 with the stored one when a newer is there."""
        body = DraftBody(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        stored = services.draft_write(
            call_id=self._call_id(),
            user_id=self._user(),
            note=values["note"],
            disposition=values["disposition"] or "",
            revision=values["revision"],
        )
        return Response(services.draft_document(stored))

    def _user(self) -> uuid.UUID:
        user: Any = self.request.user
        return uuid.UUID(str(user.pk)) if user.pk else uuid.UUID(int=0)

    def _call_id(self) -> uuid.UUID:
        """The call in the path, whose row may not exist yet; 404 when it is hidden from this person."""
        try:
            call_id = uuid.UUID(str(self.kwargs["pk"]))
        except ValueError:
            raise NotFound() from None
        if not queries.may_write_about(call_id, self._user(), self.scope):
            raise NotFound()
        return call_id


class CallExport(ExportView):
    """Write the calls that the filters leave into a file, as a job."""

    kind = exporting.KIND


def _whole(body: Any) -> Response:
    """All rows of one call, in the shape of every list: a call has tens of them."""
    return Response({"data": body.data, "next_cursor": None, "has_more": False})


class DispositionViewSet(ResourceViewSet):
    """What an agent may say a call came to."""

    queryset = CallDisposition.objects.all()
    serializer_class = DispositionBody
    filters = {
        "is_active": Filter("is_active", schema={"type": "boolean"}),
        "code": Filter("code", many=True),
    }
    sort_fields = {"sort_order": "sort_order", "name": "name", "created_at": "created_at"}
    default_sort = "sort_order"

    def perform_create(self, values: dict[str, Any]) -> CallDisposition:
        return services.disposition_create(actor=self.actor, values=values)

    def perform_update(self, row: CallDisposition, values: dict[str, Any]) -> CallDisposition:
        return services.disposition_update(actor=self.actor, disposition=row, values=values)

    def perform_destroy(self, row: CallDisposition) -> None:
        services.disposition_delete(actor=self.actor, disposition=row)


class ReasonViewSet(ResourceViewSet):
    """Why an agent takes no calls."""

    queryset = NotReadyReason.objects.all()
    serializer_class = ReasonBody
    filters = {"is_active": Filter("is_active", schema={"type": "boolean"})}
    sort_fields = {"sort_order": "sort_order", "name": "name", "created_at": "created_at"}
    default_sort = "sort_order"

    def perform_create(self, values: dict[str, Any]) -> NotReadyReason:
        return services.reason_create(actor=self.actor, values=values)

    def perform_update(self, row: NotReadyReason, values: dict[str, Any]) -> NotReadyReason:
        return services.reason_update(actor=self.actor, reason=row, values=values)

    def perform_destroy(self, row: NotReadyReason) -> None:
        services.reason_delete(actor=self.actor, reason=row)
