"""Whole lists at once: categories, places and items come from files and go into them.

Rows are known by their code, parents too, so a file may name a parent that one of its earlier rows brings.
Each row goes through the services: the rules of trees, levels and categories hold for files as for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from web.shared.api.serializers import Body
from web.shared.core import transfer
from web.shared.core.actor import Actor
from web.shared.core.transfer import Row, RowError, Written
from web.tenant.reference_data import permissions, services
from web.tenant.reference_data.models import (
    CaseCategory,
    Location,
    ReferenceData,
    ReferenceDataCategory,
    ReferenceModel,
)


class _ListedRow(Body):
    """What every kind has. `parent` is the code of the row above."""

    name = serializers.CharField(max_length=255)
    parent = serializers.CharField(  # type: ignore[assignment]
        max_length=50, allow_blank=True, required=False
    )
    sort_order = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)
    is_active = serializers.BooleanField(required=False)


class CaseCategoryRow(_ListedRow):
    code = serializers.CharField(max_length=20)
    description = serializers.CharField(max_length=2000, allow_blank=True, required=False)
    color = serializers.CharField(max_length=7, required=False)


class LocationRow(_ListedRow):
    code = serializers.CharField(max_length=10)
    type = serializers.CharField(max_length=20)


class ItemRow(_ListedRow):
    """`category`: its name, such as "gender"."""

    category = serializers.CharField(max_length=50)
    code = serializers.CharField(max_length=50)


def _writer(model: type[ReferenceModel]) -> transfer.Write:
    def write(rows: Sequence[Row], actor: Actor, on_conflict: str) -> Written:
        written = Written()
        for row in rows:
            _write(model, row, actor, on_conflict, written)
        return written

    return write


def _write(model: type[ReferenceModel], row: Row, actor: Actor, on_conflict: str, written: Written) -> None:
    """One row. ValidationError names what is wrong with it; the caller then takes the slice row by row."""
    values = dict(row.values)
    rows: Any = model.objects
    if model is ReferenceData:
        values["category"] = _found(ReferenceDataCategory.objects, "category", name=values["category"])
        rows = rows.filter(category=values["category"])
    if "parent" in values:
        code = values["parent"]
        values["parent"] = _found(rows, "parent", code=code) if code else None
    present = rows.filter(code=values["code"]).first()
    if present is None:
        services.reference_create(model, actor=actor, values=values)
        written.created += 1
    elif on_conflict == "update":
        services.reference_update(present, actor=actor, values=values)
        written.updated += 1
    elif on_conflict == "skip":
        written.skipped += 1
    else:
        written.errors.append(RowError(row.number, "/code", "conflict", "This code is there already."))


def _found(rows: Any, field: str, **lookup: Any) -> Any:
    row = rows.filter(**lookup).first()
    if row is None:
        unknown = ValidationError("There is no such row.", code="does_not_exist")
        raise ValidationError({field: [unknown]})
    return row


def _parent_code(row: Any) -> str:
    return row.parent.code if row.parent_id else ""


_COMMON: dict[str, transfer.Column] = {
    "code": "code",
    "name": "name",
    "parent": _parent_code,
    "sort_order": "sort_order",
    "is_active": "is_active",
}
KINDS: dict[str, tuple[type[ReferenceModel], type[_ListedRow], dict[str, transfer.Column]]] = {
    "case_categories": (
        CaseCategory,
        CaseCategoryRow,
        {**_COMMON, "description": "description", "color": "color"},
    ),
    "locations": (Location, LocationRow, {**_COMMON, "type": "type"}),
    "reference_items": (
        ReferenceData,
        ItemRow,
        {"category": lambda row: row.category.name, **_COMMON},
    ),
}


def register() -> None:
    """Make the jobs known."""
    from web.tenant.reference_data.api import views

    filters = {
        "case_categories": views.CaseCategoryViewSet.filters,
        "locations": views.LocationViewSet.filters,
        "reference_items": views.ItemViewSet.filters,
    }
    for name, (model, row, columns) in KINDS.items():
        transfer.importer(f"{name}.import", row=row, write=_writer(model))
        related = ["parent", "category"] if model is ReferenceData else ["parent"]
        transfer.exporter(
            f"{name}.export",
            code=permissions.REFERENCE_VIEW,
            queryset=lambda viewer, model=model, related=related: viewer.narrow(  # type: ignore[misc]
                model.objects.select_related(*related), permissions.REFERENCE_VIEW
            ),
            columns=columns,
            filters=filters[name],
        )
