"""Workflows and their instances over REST."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api import etags
from web.shared.api.filters import Filter
from web.shared.api.serializers import read
from web.shared.api.viewsets import (
    BaseViewSet,
    CreateMixin,
    ListMixin,
    ResourceViewSet,
    RetrieveMixin,
    UpdateMixin,
)
from web.shared.core import entities
from web.tenant.workflows import definition, queries, running, services
from web.tenant.workflows.api import serializers as bodies
from web.tenant.workflows.models import Workflow, WorkflowInstance, WorkflowTransition

UUID_SCHEMA = {"type": "string", "format": "uuid"}
FLAG = {"type": "boolean"}
MOMENT = {"type": "string", "format": "date-time"}
TIMES = {"created_at": "created_at", "updated_at": "updated_at"}


def unknown(field: str) -> ValidationError:
    return ValidationError({field: [ValidationError("There is no such row.", code="does_not_exist")]})


class WorkflowViewSet(ResourceViewSet):
    """Drafts, and what was published of them."""

    queryset = Workflow.objects.all()
    serializer_class = bodies.WorkflowBody
    filters = {
        "name": Filter("name"),
        "entity_type": Filter("entity_type", many=True),
        "status": Filter("status", many=True),
        "is_active": Filter("is_active", schema=FLAG),
    }
    sort_fields = {**TIMES, "name": "name"}

    def perform_create(self, values: dict[str, Any]) -> Workflow:
        return services.workflow_create(actor=self.actor, values=values)

    def perform_update(self, row: Workflow, values: dict[str, Any]) -> Workflow:
        return services.workflow_update(actor=self.actor, workflow=row, values=values)

    def perform_destroy(self, row: Workflow) -> None:
        services.workflow_delete(actor=self.actor, workflow=row)

    @extend_schema(request=None, responses=bodies.WorkflowCheckedBody)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def check(self, request: Request, pk: str) -> Response:
        """What keeps the draft from being published."""
        found = definition.problems(self.get_object(), self.viewer)
        return Response({"problems": [{"pointer": one.pointer, "text": one.text} for one in found]})

    @extend_schema(request=None, responses={201: bodies.WorkflowVersionBody})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def publish(self, request: Request, pk: str) -> Response:
        """Make the draft the newest version. Running instances keep theirs."""
        with transaction.atomic():
            row = self._matching(request)
            version = services.workflow_publish(actor=self.actor, viewer=self.viewer, workflow=row)
        return Response(bodies.WorkflowVersionBody(version).data, status=201)

    @extend_schema(request=None, responses=bodies.WorkflowBody)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def retire(self, request: Request, pk: str) -> Response:
        """Start no more of it; what runs, runs on."""
        with transaction.atomic():
            row = services.workflow_retire(actor=self.actor, workflow=self._matching(request))
        return self.answer(row)

    @extend_schema(responses=bodies.WorkflowVersionBody(many=True), filters=False)
    @action(detail=True, filter_backends=[])
    def versions(self, request: Request, pk: str) -> Response:
        """The published versions, the newest first. None of them ever changes."""
        self.sort_fields, self.default_sort = {"number": "number"}, "-number"  # type: ignore[misc]
        page = self.paginate_queryset(self.get_object().versions.all())
        return self.get_paginated_response(bodies.WorkflowVersionBody(page, many=True).data)

    def _matching(self, request: Request) -> Workflow:
        """The row, locked; If-Match is honoured when it is sent."""
        row: Workflow = self.locked_object()
        if "If-Match" in request.headers:
            etags.require_match(request, row)
        return row


class InstanceViewSet(ListMixin, RetrieveMixin, CreateMixin, UpdateMixin, BaseViewSet):
    """What runs: on entities that the viewer may see."""

    queryset = WorkflowInstance.objects.select_related("version").prefetch_related("approvals")
    serializer_class = bodies.WorkflowInstanceBody
    filters = {
        "workflow": Filter("workflow", schema=UUID_SCHEMA),
        "entity_type": Filter("entity_type", many=True),
        "entity_id": Filter("entity_id", schema=UUID_SCHEMA),
        "stage": Filter("current_stage", many=True),
        "waiting": Filter(apply=queries.waiting, schema=FLAG),
        "completed_at": Filter("completed_at", ranges=True, null=True, schema=MOMENT),
        "overdue_at": Filter("overdue_at", ranges=True, null=True, schema=MOMENT),
        "stage_deadline": Filter("stage_deadline", ranges=True, null=True, schema=MOMENT),
    }
    sort_fields = {**TIMES, "stage_deadline": "stage_deadline", "started_at": "started_at"}

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queries.visible_instances(queryset, self.viewer)

    @property
    def mover(self) -> running.Mover:
        membership = getattr(self.request, "membership", None)
        role = "" if membership is None else str(membership.role.name)
        return running.Mover(self.actor, self.viewer, role)

    @extend_schema(request=bodies.WorkflowStartBody, responses={201: bodies.WorkflowInstanceBody})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Start a workflow on an entity."""
        values = read(bodies.WorkflowStartBody, request)
        workflow = Workflow.objects.filter(pk=values["workflow"]).first()
        if workflow is None:
            raise unknown("workflow")
        try:
            entities.row(workflow.entity_type, values["entity_id"], self.viewer)
        except entities.UnknownEntity:
            raise unknown("entity_id") from None
        made = running.instance_start(
            mover=self.mover,
            workflow=workflow,
            entity_id=values["entity_id"],
            data=values.get("data"),
        )
        headers = {"Location": f"{request.path}{made.pk}/"}
        return self.answer(self._fresh(made), status=201, headers=headers)

    def perform_update(self, row: WorkflowInstance, values: dict[str, Any]) -> WorkflowInstance:
        changed = running.data_update(actor=self.actor, instance=row, values=values)
        fresh: WorkflowInstance = self._fresh(changed)
        return fresh

    @extend_schema(
        request=bodies.WorkflowMoveBody,
        responses={200: bodies.WorkflowMovedBody, 202: bodies.WorkflowMovedBody},
    )
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def transition(self, request: Request, pk: str) -> Response:
        """Take a transition. 202 when it waits for approval now; 409 when it cannot be taken from here."""
        values = read(bodies.WorkflowMoveBody, request)
        with transaction.atomic():
            row = self._matching(request)
            instance, asked = running.instance_move(mover=self.mover, instance=row, **values)
        return self._moved(instance, asked, status=200 if asked is None else 202)

    @extend_schema(request=bodies.ApprovalCommentBody, responses=bodies.WorkflowMovedBody)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def approve(self, request: Request, pk: str) -> Response:
        """Approve the transition that waits; the last approval takes it."""
        values = read(bodies.ApprovalCommentBody, request)
        with transaction.atomic():
            row = self._matching(request)
            instance, asked = running.instance_approve(mover=self.mover, instance=row, **values)
        return self._moved(instance, asked)

    @extend_schema(request=bodies.ApprovalCommentBody, responses=bodies.WorkflowMovedBody)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def reject(self, request: Request, pk: str) -> Response:
        """Refuse the transition that waits; who asked for it withdraws it."""
        values = read(bodies.ApprovalCommentBody, request)
        with transaction.atomic():
            row = self._matching(request)
            instance, asked = running.instance_reject(mover=self.mover, instance=row, **values)
        return self._moved(instance, asked)

    @extend_schema(request=bodies.WorkflowReasonBody, responses=bodies.WorkflowInstanceBody)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def cancel(self, request: Request, pk: str) -> Response:
        """End it where it is."""
        values = read(bodies.WorkflowReasonBody, request)
        with transaction.atomic():
            row = self._matching(request)
            done = running.instance_cancel(mover=self.mover, instance=row, **values)
        return self.answer(self._fresh(done))

    @extend_schema(request=bodies.WorkflowMigrateBody, responses=bodies.WorkflowInstanceBody)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def migrate(self, request: Request, pk: str) -> Response:
        """Run on another version of the workflow."""
        values = read(bodies.WorkflowMigrateBody, request)
        with transaction.atomic():
            row = self._matching(request)
            number = values.get("version", row.workflow.version)
            version = row.workflow.versions.filter(number=number).first()
            if version is None:
                raise unknown("version")
            done = running.instance_migrate(
                mover=self.mover, instance=row, version=version, stage_map=values.get("stage_map", {})
            )
        return self.answer(self._fresh(done))

    @extend_schema(responses=bodies.WorkflowStepBody(many=True), filters=False)
    @action(detail=True, filter_backends=[])
    def history(self, request: Request, pk: str) -> Response:
        """Every step, the first one first: who, when, why, and what the guard said."""
        self.sort_fields, self.default_sort = {"number": "number"}, "number"  # type: ignore[misc]
        steps = WorkflowTransition.objects.filter(instance=self.get_object()).select_related("version")
        page = self.paginate_queryset(steps)
        return self.get_paginated_response(bodies.WorkflowStepBody(page, many=True).data)

    @extend_schema(responses=bodies.WorkflowApprovalBody(many=True), filters=False)
    @action(detail=True, filter_backends=[])
    def approvals(self, request: Request, pk: str) -> Response:
        """Every request for approval, the newest first, and how it ended."""
        self.sort_fields = {"requested_at": "requested_at"}  # type: ignore[misc]
        self.default_sort = "-requested_at"  # type: ignore[misc]
        page = self.paginate_queryset(self.get_object().approvals.prefetch_related("votes"))
        return self.get_paginated_response(bodies.WorkflowApprovalBody(page, many=True).data)

    @extend_schema(responses=bodies.WorkflowAvailableBody)
    @action(detail=True, pagination_class=None, filter_backends=[])
    def available(self, request: Request, pk: str) -> Response:
        """What may be done from here, and what stands in the way."""
        return Response({"data": running.available(self.mover, self.get_object())})

    def _matching(self, request: Request) -> WorkflowInstance:
        row: WorkflowInstance = self.locked_object()
        if "If-Match" in request.headers:
            etags.require_match(request, row)
        return row

    def _fresh(self, row: WorkflowInstance) -> Any:
        return InstanceViewSet.queryset.get(pk=row.pk)

    def _moved(self, instance: WorkflowInstance, asked: Any, status: int = 200) -> Response:
        fresh = self._fresh(instance)
        body = bodies.moved(fresh, asked, self.get_serializer_context())
        return Response(body, status=status, headers={"ETag": etags.etag_of(fresh)})
