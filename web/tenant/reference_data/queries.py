"""Reading reference data: subtrees, trees, and rows by code, for this app's API and for apps above it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from web.tenant.reference_data import trees
from web.tenant.reference_data.models import (
    CaseCategory,
    Location,
    Priority,
    ReferenceData,
    ReferenceDataCategory,
    ReferenceModel,
)

MAX_TREE = 5_000
LOCATION_LEVELS = "location_level"
"""The category whose items, in their order, are the levels of places."""

MODELS: Mapping[str, type[ReferenceModel]] = {
    model.event_name: model
    for model in (CaseCategory, Priority, Location, ReferenceDataCategory, ReferenceData)
}


class TooManyError(ValueError):
    """More rows than one answer may hold."""


def rows(kind: str) -> QuerySet[Any]:
    """Rows of a kind ("case_category", …) that are not deleted; foreign keys of a body choose from these."""
    return MODELS[kind].objects.all()


def row(kind: str, pk: Any) -> Any:
    """One row that is not deleted. A merged one answers with what it became. Raises DoesNotExist."""
    found = MODELS[kind].all_objects.select_related("merged_into").get(pk=pk)
    into = found.merged_into
    if found.is_deleted and into is not None and not into.is_deleted:
        return into
    if found.is_deleted:
        raise MODELS[kind].DoesNotExist
    return found


def by_code(kind: str, code: str) -> Any:
    """The row with this code, or None. Items need their category: see `items_of`."""
    model: Any = MODELS[kind]
    return model.objects.filter(code=code).first()


def items_of(category: str) -> QuerySet[ReferenceData]:
    """Items of the generic category with this name, in their order."""
    return ReferenceData.objects.filter(category__name=category, category__is_deleted=False).order_by(
        "sort_order", "name"
    )


def names(kind: str, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """id → name, of deleted rows too: history still shows them. One query."""
    model = MODELS[kind]
    return dict(model.all_objects.filter(pk__in=set(ids)).values_list("pk", model.label_field))


def subtree(kind: str, pk: uuid.UUID) -> list[uuid.UUID]:
    """`pk` and every id below it: what a filter "in this category or under it" means. One query."""
    return list(trees.below(MODELS[kind], pk))


def path(kind: str, pk: uuid.UUID) -> list[uuid.UUID]:
    """Ids from the root down to `pk`. One query."""
    return list(trees.above(MODELS[kind], pk))[::-1]


def levels() -> dict[str, int]:
    """Codes of the levels of places → their order, the widest first."""
    codes = items_of(LOCATION_LEVELS).exclude(code="").values_list("code", flat=True)
    return {code: number for number, code in enumerate(codes)}


def search(queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Rows whose name or code holds `text`, or one of whose translations does."""
    model: Any = queryset.model
    found = Q(**{f"{model.label_field}__icontains": text}) | Q(translations__icontains=text)
    if any(field.name == "code" for field in model._meta.fields):
        found |= Q(code__istartswith=text)
    return queryset.filter(found)


def under(queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Rows of the subtree that begins at this id."""
    model: Any = queryset.model
    return queryset.filter(pk__in=trees.below(model, uuid.UUID(text)))


def tree(queryset: QuerySet[Any], *, root: uuid.UUID | None, depth: int) -> list[dict[str, Any]]:
    """Nested nodes {row, children} of `queryset`, ordered; from `root` or from every top, `depth` levels.

    A row whose parent is not in `queryset` is a top. Two queries. Raises TooManyError.
    """
    model: Any = queryset.model
    if root is not None:
        queryset = queryset.filter(pk__in=trees.below(model, root))
    found = list(queryset.order_by("sort_order", "name", "pk")[: MAX_TREE + 1])
    if len(found) > MAX_TREE:
        raise TooManyError
    present = {one.pk for one in found}
    children: dict[uuid.UUID | None, list[Any]] = {}
    for one in found:
        key = one.parent_id if one.parent_id in present and one.pk != root else None
        children.setdefault(key, []).append(one)
    forest: list[dict[str, Any]] = _nodes(children, None, min(depth, trees.MAX_DEPTH))
    return forest


def _nodes(children: dict[uuid.UUID | None, list[Any]], key: uuid.UUID | None, depth: int) -> Any:
    if depth == 0:
        return []
    return [{"row": one, "children": _nodes(children, one.pk, depth - 1)} for one in children.get(key, [])]
