"""Reference data over REST: five resources of one kind."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api import etags
from web.shared.api.filters import Filter
from web.shared.api.problems import FieldError, Malformed
from web.shared.api.viewsets import ResourceViewSet
from web.shared.core.api.transfer_views import ExportView, ImportView
from web.tenant.reference_data import queries, services, trees
from web.tenant.reference_data.api.serializers import (
    CaseCategoryBody,
    LocationBody,
    PriorityBody,
    ReferenceCategoryBody,
    ReferenceItemBody,
    ReferenceMergeBody,
    ReferenceUsageBody,
    languages_of,
)
from web.tenant.reference_data.models import (
    CaseCategory,
    Location,
    Priority,
    ReferenceData,
    ReferenceDataCategory,
    ReferenceModel,
)

UUID_SCHEMA = {"type": "string", "format": "uuid"}
COMMON_FILTERS = {
    "is_active": Filter("is_active", schema={"type": "boolean"}),
    "q": Filter(apply=queries.search),
}
TREE_FILTERS = {
    "parent": Filter("parent", null=True, schema={"type": "string"}),
    "under": Filter(apply=queries.under, schema=UUID_SCHEMA),
}
TIMES = {"created_at": "created_at", "updated_at": "updated_at"}
NODE = {
    "type": "object",
    "additionalProperties": True,
    "required": ["id", "code", "name", "label", "is_active", "children"],
    "properties": {
        "id": UUID_SCHEMA,
        "code": {"type": "string"},
        "name": {"type": "string"},
        "label": {"type": "string"},
        "is_active": {"type": "boolean"},
        "children": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
    },
}
FOREST = {"type": "object", "required": ["data"], "properties": {"data": {"type": "array", "items": NODE}}}


class ReferenceViewSet(ResourceViewSet):
    """What the five have in common."""

    def perform_create(self, values: dict[str, Any]) -> Any:
        rows: Any = type(self).queryset
        model: type[ReferenceModel] = rows.model
        return services.reference_create(model, actor=self.actor, values=values)

    def perform_update(self, row: Any, values: dict[str, Any]) -> Any:
        return services.reference_update(row, actor=self.actor, values=values)

    def perform_destroy(self, row: Any) -> None:
        services.reference_delete(row, actor=self.actor)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(answer, ["Accept-Language"])
        return answer

    @extend_schema(request=ReferenceMergeBody, responses={200: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def merge(self, request: Request, pk: str) -> Response:
        """Point everything that points here at `into`, then delete this row. Answers with `into`."""
        body = ReferenceMergeBody(data=request.data)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            row = self.locked_object()
            if "If-Match" in request.headers:
                etags.require_match(request, row)
            into = self.get_queryset().filter(pk=body.validated_data["into"]).first()
            if into is None:
                unknown = ValidationError("There is no such row.", code="does_not_exist")
                raise ValidationError({"into": [unknown]})
            merged = services.reference_merge(row, actor=self.actor, into=into)
        return self.answer(merged)

    @extend_schema(responses=ReferenceUsageBody)
    @action(detail=True, pagination_class=None, filter_backends=[])
    def usage(self, request: Request, pk: str) -> Response:
        """How many rows of whom point here: what a merge would move, and what forbids deletion."""
        return Response({"in_use": services.usage(self.get_object())})


class TreeMixin:
    """GET tree/: everything nested, or the part below `root`."""

    tree_filters: ClassVar[tuple[str, ...]] = ("root", "depth", "is_active")
    node_fields: ClassVar[tuple[str, ...]] = ("code", "name", "is_active", "sort_order")

    @extend_schema(
        parameters=[
            OpenApiParameter("root", str, description="Only this row and what lies below it."),
            OpenApiParameter("depth", int, description=f"Levels, 1 to {trees.MAX_DEPTH}."),
            OpenApiParameter("is_active", bool),
        ],
        responses={(200, "application/json"): FOREST},
        filters=False,
    )
    @action(detail=False, pagination_class=None, filter_backends=[])
    def tree(self: Any, request: Request) -> Response:
        """The rows, nested."""
        queryset = self._chosen_for_tree(request)
        root = _uuid(request, "root")
        try:
            forest = queries.tree(queryset, root=root, depth=_depth(request))
        except queries.TooManyError:
            raise Malformed("That is too much for one answer: ask for a part with root or depth.") from None
        languages = languages_of(request)
        return Response({"data": [self._node(one, languages) for one in forest]})

    def _chosen_for_tree(self: Any, request: Request) -> Any:
        strange = sorted(set(request.query_params) - set(self.tree_filters))
        if strange:
            raise _bad(strange[0], "unknown_parameter", f"Known: {', '.join(self.tree_filters)}.")
        queryset = self.get_queryset()
        if "is_active" in request.query_params:
            if request.query_params["is_active"] not in ("true", "false"):
                raise _bad("is_active", "bad_value", "true or false.")
            queryset = queryset.filter(is_active=request.query_params["is_active"] == "true")
        if "category" in request.query_params:
            queryset = queryset.filter(category__name=request.query_params["category"][:64])
        return queryset

    def _node(self: Any, node: dict[str, Any], languages: list[str]) -> dict[str, Any]:
        row = node["row"]
        shown = {name: getattr(row, name) for name in self.node_fields}
        children = [self._node(one, languages) for one in node["children"]]
        return {"id": str(row.pk), **shown, "label": row.label_in(languages), "children": children}


def _uuid(request: Request, name: str) -> uuid.UUID | None:
    text = request.query_params.get(name)
    try:
        return None if text is None else uuid.UUID(text)
    except ValueError:
        raise _bad(name, "bad_value", "An id.") from None


def _depth(request: Request) -> int:
    text = request.query_params.get("depth", str(trees.MAX_DEPTH))
    if not (text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) <= trees.MAX_DEPTH):
        raise _bad("depth", "out_of_range", f"1 to {trees.MAX_DEPTH}.")
    return int(text)


def _bad(name: str, code: str, detail: str) -> Malformed:
    return Malformed(detail, errors=[FieldError(f"?{name[:64]}", code, detail)])


class CaseCategoryViewSet(TreeMixin, ReferenceViewSet):
    """What cases are about, as a tree."""

    queryset = CaseCategory.objects.all()
    serializer_class = CaseCategoryBody
    filters = {"code": Filter("code", many=True), **COMMON_FILTERS, **TREE_FILTERS}
    sort_fields = {**TIMES, "sort_order": "sort_order", "name": "name", "code": "code"}
    default_sort = "sort_order"
    node_fields = ("code", "name", "color", "is_active", "sort_order")


class PriorityViewSet(ReferenceViewSet):
    """How urgent a case is, and within how many hours it is to be resolved."""

    queryset = Priority.objects.all()
    serializer_class = PriorityBody
    filters = {"code": Filter("code", many=True), "level": Filter("level", ranges=True), **COMMON_FILTERS}
    sort_fields = {**TIMES, "level": "level", "name": "name"}
    default_sort = "level"


class LocationViewSet(TreeMixin, ReferenceViewSet):
    """Places, as a tree; their levels are the items of the category `location_level`."""

    queryset = Location.objects.all()
    serializer_class = LocationBody
    filters = {
        "type": Filter("type", many=True),
        "code": Filter("code", many=True),
        **COMMON_FILTERS,
        **TREE_FILTERS,
    }
    sort_fields = {**TIMES, "name": "name", "sort_order": "sort_order"}
    default_sort = "name"
    node_fields = ("code", "name", "type", "is_active", "sort_order")


class CategoryViewSet(ReferenceViewSet):
    """The lists of this organisation, by name."""

    queryset = ReferenceDataCategory.objects.all()
    serializer_class = ReferenceCategoryBody
    filters = {"name": Filter("name", many=True), **COMMON_FILTERS}
    sort_fields = {**TIMES, "name": "name"}
    default_sort = "name"


class ItemViewSet(TreeMixin, ReferenceViewSet):
    """The entries of those lists."""

    queryset = ReferenceData.objects.all()
    serializer_class = ReferenceItemBody
    filters = {
        "category": Filter("category__name", many=True),
        "code": Filter("code", many=True),
        **COMMON_FILTERS,
        **TREE_FILTERS,
    }
    sort_fields = {**TIMES, "sort_order": "sort_order", "name": "name"}
    default_sort = "sort_order"
    tree_filters = ("root", "depth", "is_active", "category")


class CaseCategoryImport(ImportView):
    """Import case categories, as a job."""

    kind = "case_categories.import"


class CaseCategoryExport(ExportView):
    """Export case categories, as a job."""

    kind = "case_categories.export"


class LocationImport(ImportView):
    """Import places, as a job."""

    kind = "locations.import"


class LocationExport(ExportView):
    """Export places, as a job."""

    kind = "locations.export"


class ItemImport(ImportView):
    """Import items of lists, as a job."""

    kind = "reference_items.import"


class ItemExport(ExportView):
    """Export items of lists, as a job."""

    kind = "reference_items.export"
