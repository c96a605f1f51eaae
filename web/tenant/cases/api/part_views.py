"""What hangs on a case, over REST: always below a case that the asker may see."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import Filter
from web.shared.api.problems import Forbidden, NotFound
from web.shared.api.viewsets import (
    BaseViewSet,
    CreateMixin,
    DestroyMixin,
    ListMixin,
    ReadOnlyViewSet,
    ResourceViewSet,
    RetrieveMixin,
)
from web.tenant.cases import queries
from web.tenant.cases.api.part_serializers import (
    HistoryBody,
    LinkBody,
    MergeBody,
    NoteBody,
    NoteVersionBody,
    NoteVersionsBody,
    WatcherBody,
)
from web.tenant.cases.api.scope import code_of_route
from web.tenant.cases.api.serializers import PartyBody
from web.tenant.cases.models import Case, CaseHistory, CaseLink, CaseMerge, CaseNote, CaseParty, CaseWatcher
from web.tenant.cases.permissions import EDIT_NOTES
from web.tenant.cases.services import linking, merging, notes, parties, watching


class OfCase(BaseViewSet):
    """Below /cases/{case_id}/: rows of that case, when the asker's scope reaches it."""

    @cached_property
    def case(self) -> Case:
        if getattr(self, "swagger_fake_view", False):
            return Case()
        code = code_of_route(self.request)
        try:
            pk = uuid.UUID(self.kwargs["case_id"])
            return queries.changeable(Case.objects.all(), self.viewer, code).get(pk=pk)
        except (Case.DoesNotExist, ValueError, ValidationError):
            raise NotFound() from None

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "case": self.case}

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(case=self.case)


class HistoryViewSet(ListMixin, OfCase):
    """Every change of every field, newest first."""

    queryset = CaseHistory.objects.all()
    serializer_class = HistoryBody
    filters = {"field_name": Filter("field_name", many=True)}


class PartyViewSet(OfCase, ResourceViewSet):
    """Who is in the case, and as what."""

    queryset = CaseParty.objects.all()
    serializer_class = PartyBody

    def perform_create(self, values: dict[str, Any]) -> CaseParty:
        return parties.party_add(actor=self.actor, case=self.case, values=values)

    def perform_update(self, row: CaseParty, values: dict[str, Any]) -> CaseParty:
        return parties.party_update(actor=self.actor, party=row, values=values)

    def perform_destroy(self, row: CaseParty) -> None:
        parties.party_remove(actor=self.actor, party=row)


class LinkViewSet(ListMixin, RetrieveMixin, CreateMixin, DestroyMixin, OfCase):
    """Links to other cases; `link_type` is what the other case is to this one."""

    queryset = CaseLink.objects.all()
    serializer_class = LinkBody

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queries.links_of(self.case, self.viewer)

    def perform_create(self, values: dict[str, Any]) -> CaseLink:
        other = values.pop("case")
        return linking.link_add(actor=self.actor, case=self.case, other=other, **values)

    def perform_destroy(self, row: CaseLink) -> None:
        linking.link_remove(actor=self.actor, case=self.case, link=row)


class WatcherViewSet(ListMixin, RetrieveMixin, CreateMixin, OfCase):
    """Who watches the case; a watcher is addressed by the person's id."""

    queryset = CaseWatcher.objects.all()
    serializer_class = WatcherBody
    lookup_field = "user_id"

    def _row(self, queryset: QuerySet[Any]) -> Any:
        try:
            return queryset.get(user_id=uuid.UUID(self.kwargs["user_id"]))
        except (CaseWatcher.DoesNotExist, ValueError):
            raise NotFound() from None

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = watching.watcher_add(actor=self.actor, case=self.case, user_id=body.validated_data["user_id"])
        return self.answer(row, status=201, headers={"Location": f"{request.path}{row.user_id}/"})

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            watching.watcher_remove(actor=self.actor, watcher=self.locked_object())
        return Response(status=204)


class NoteViewSet(OfCase, ResourceViewSet):
    """Notes; a public one (`is_internal` false) answers the client."""

    queryset = CaseNote.objects.all()
    serializer_class = NoteBody

    def perform_create(self, values: dict[str, Any]) -> CaseNote:
        return notes.note_add(actor=self.actor, case=self.case, values=values)

    def perform_update(self, row: CaseNote, values: dict[str, Any]) -> CaseNote:
        self._own(row)
        return notes.note_update(actor=self.actor, note=row, values=values)

    def perform_destroy(self, row: CaseNote) -> None:
        self._own(row)
        notes.note_delete(actor=self.actor, note=row)

    def _own(self, row: CaseNote) -> None:
        if row.created_by_id != self.viewer.user_id and not self.viewer.may(EDIT_NOTES):
            raise Forbidden("Only who wrote a note may change it.", permission=EDIT_NOTES)

    @extend_schema(responses=NoteVersionsBody)
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, **_: Any) -> Response:
        """What the note said before each edit, newest first."""
        rows = self.get_object().versions.all()[:200]
        return Response({"data": NoteVersionBody(rows, many=True).data})


class MergeViewSet(ReadOnlyViewSet):
    """Merges, and their undoing."""

    queryset = CaseMerge.objects.all()
    serializer_class = MergeBody

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        seen = queries.visible(Case.objects.all(), self.viewer).values("pk")
        return queryset.filter(loser__in=seen, winner__in=seen)

    @extend_schema(request=None, responses=MergeBody)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: str = "") -> Response:
        """Put the two cases apart again."""
        return self.answer(merging.merge_undo(actor=self.actor, merge=self.get_object()))
