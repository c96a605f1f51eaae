"""Cases over REST."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import Filter
from web.shared.api.problems import FieldError, Forbidden
from web.shared.api.serializers import read
from web.shared.api.viewsets import ResourceViewSet
from web.shared.core.api.transfer_views import ExportView
from web.tenant.cases import exporting, queries, search
from web.tenant.cases.api.part_serializers import MergeBody, MergeInto, TimelineBody
from web.tenant.cases.api.scope import code_of_route
from web.tenant.cases.api.serializers import (
    AssignBody,
    BulkAnswer,
    BulkBody,
    CaseBody,
    ClockBody,
    ClocksBody,
    TransitionBody,
)
from web.tenant.cases.api.story import page_of_story
from web.tenant.cases.models import Case
from web.tenant.cases.permissions import ASSIGN, EDIT
from web.tenant.cases.services import assigning, bulk, cases, merging

_DATE = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}


class CaseViewSet(ResourceViewSet):
    """Cases, what happens to them, and everything that is done to one."""

    queryset = Case.objects.all()
    serializer_class = CaseBody
    audited_read = True
    sort_fields = {
        "created_at": "created_at",
        "updated_at": "updated_at",
        "due_date": "due_date",
        "priority": "priority_level",
        "case_number": "case_number",
    }

    @property
    def filters(self) -> dict[str, Filter]:  # type: ignore[override]  # some need to know who asks
        return case_filters(getattr(self, "request", None) and self.viewer)

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        code = code_of_route(self.request)
        return queries.with_lists(queries.changeable(queryset, self.viewer, code))

    def perform_create(self, values: dict[str, Any]) -> Case:
        values.pop("reason", None)
        self._may_give(None, values)
        made = cases.case_create(
            actor=self.actor,
            contact=values.pop("contact", None),
            party_values=values.pop("parties", ()),
            assigned_to=values.pop("assigned_to_id", None),
            values=values,
        )
        return self._shown(made)

    def perform_update(self, row: Case, values: dict[str, Any]) -> Case:
        values.pop("parties", None)
        self._may_give(row, values)
        changed = cases.case_update(
            actor=self.actor,
            case=row,
            contact=values.pop("contact", None),
            assigned_to=values.pop("assigned_to_id", ...),
            reason=values.pop("reason", ""),
            values=values,
        )
        return self._shown(changed)

    def perform_destroy(self, row: Case) -> None:
        cases.case_delete(actor=self.actor, case=row)

    def _may_give(self, row: Case | None, values: dict[str, Any]) -> None:
        """Writing `assigned_to` asks for what assign/ asks for; naming who has the case already does not."""
        had = None if row is None else row.assigned_to_id
        if values.get("assigned_to_id", had) == had:
            return
        allowed = self.viewer.may(ASSIGN)
        if allowed and row is not None:
            allowed = queries.changeable(Case.objects.all(), self.viewer, ASSIGN).filter(pk=row.pk).exists()
        if not allowed:
            errors = [
                FieldError("/assigned_to", "forbidden", f"Needs {ASSIGN}, and that it reaches this case.")
            ]
            raise Forbidden("This case is not yours to give.", errors=errors, permission=ASSIGN)

    def _shown(self, case: Case) -> Case:
        return queries.with_lists(Case.objects.all()).get(pk=case.pk)

    def _read(self, request: Request, body: Any) -> dict[str, Any]:
        return read(body, request, self.get_serializer_context())

    @extend_schema(request=AssignBody, responses=CaseBody)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str = "") -> Response:
        """Give the case to somebody, or back to the pool."""
        given, case = self._read(request, AssignBody), self.get_object()
        changed = assigning.case_assign(
            actor=self.actor,
            case=case,
            user_id=given["assigned_to"],
            lease_minutes=given["lease_minutes"],
            reason=given["reason"],
        )
        return self.answer(self._shown(changed))

    @extend_schema(request=None, responses=CaseBody)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str = "") -> Response:
        """The assignee takes the case up; its lease ends."""
        return self.answer(self._shown(assigning.case_acknowledge(actor=self.actor, case=self.get_object())))

    @extend_schema(request=TransitionBody, responses=CaseBody)
    @action(detail=True, methods=["post"])
    def transition(self, request: Request, pk: str = "") -> Response:
        """Move the case to another status."""
        given, case = self._read(request, TransitionBody), self.get_object()
        changed = cases.case_transition(
            actor=self.actor, case=case, status=given["status"], reason=given["reason"]
        )
        return self.answer(self._shown(changed))

    @extend_schema(request=MergeInto, responses={201: MergeBody})
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: str = "") -> Response:
        """Merge this case into another one; the answer's id is what undoes it."""
        given, case = self._read(request, MergeInto), self.get_object()
        made = merging.case_merge(actor=self.actor, loser=case, winner=given["into"], reason=given["reason"])
        where = f"{request.path.split(str(case.pk))[0]}merges/{made.pk}/"
        return Response(MergeBody(made).data, status=201, headers={"Location": where})

    @extend_schema(request=BulkBody, responses=BulkAnswer)
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> Response:
        """Assign, move, prioritise or tag up to 500 cases; the answer says what became of each."""
        given = self._read(request, BulkBody)
        order = bulk.Order(given["action"], given["value"], given["reason"], given["lease_minutes"])
        rows = queries.changeable(Case.objects.all(), self.viewer, _code_of(order.action))
        results = bulk.cases_change(
            actor=self.actor,
            rows=rows,
            ids=given["ids"],
            order=order,
            all_or_nothing=given["all_or_nothing"],
        )
        done = sum(one["ok"] for one in results)
        return Response({"results": results, "succeeded": done, "failed": len(results) - done})

    @extend_schema(responses=ClocksBody)
    @action(detail=True, methods=["get"])
    def sla(self, request: Request, pk: str = "") -> Response:
        """The clocks that run on the case."""
        case = self.get_object()
        body = {
            "data": ClockBody(queries.clocks_of(case), many=True).data,
            "sla_state": queries.sla_state(queries.clocks_of(case), timezone.now()),
        }
        return Response(body)

    @extend_schema(responses=TimelineBody)
    @action(detail=True, methods=["get"])
    def timeline(self, request: Request, pk: str = "") -> Response:
        """Calls, messages, notes and changes in one order, newest first."""
        return Response(page_of_story(request, self.get_object(), self.viewer))


class CaseExport(ExportView):
    """Write the cases that the filters leave into a file, as a job."""

    kind = exporting.KIND


def case_filters(viewer: Any) -> dict[str, Filter]:
    """What the list of cases narrows by; saved views may hold the same names."""
    return {
        "q": Filter(apply=search.search),
        "status": Filter("status", many=True),
        "priority": Filter("priority", many=True),
        "assigned_to": Filter(apply=partial(queries.assigned_to, viewer=viewer)),
        "watcher": Filter(apply=partial(queries.watched_by, viewer=viewer)),
        "case_type": Filter(apply=queries.of_type),
        "contact": Filter(apply=queries.about_contact, schema=_ID),
        "tags": Filter(apply=queries.tagged),
        "channel": Filter("channel", many=True),
        "confidentiality": Filter("confidentiality"),
        "case_number": Filter("case_number", many=True),
        "source_call": Filter("source_call", schema=_ID),
        "created_by": Filter("created_by", schema=_ID),
        "sla_state": Filter(apply=queries.in_sla_state),
        "created_at": Filter("created_at", ranges=True, schema=_DATE),
        "updated_at": Filter("updated_at", ranges=True, schema=_DATE),
        "due_date": Filter("due_date", ranges=True, null=True, schema=_DATE),
    }


def _code_of(name: str) -> str:
    return ASSIGN if name == "assign" else EDIT
