"""Filters by allow-list.

A view names them: `filters = {"status": Filter("status", many=True), "started_at": Filter("started_at",
ranges=True), "q": Filter(apply=search)}`. In the URL they read `status=open,pending`, `started_at[gte]=...`.
A parameter that is neither a filter nor a list's own (limit, cursor, sort, fields, count) is refused, so a
misspelt filter never silently returns everything; values go through the model field's own parser. What a
viewer may not read they cannot filter or sort by either: the answer would tell them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from web.shared.api.problems import FieldError, Forbidden, Malformed

RESERVED = {"limit", "cursor", "sort", "fields", "expand", "count", "format"}
OPERATORS = ("gte", "gt", "lte", "lt")
_NAME = re.compile(r"([a-z_]+)(?:\[([a-z]+)\])?")


@dataclass(frozen=True, slots=True)
class Filter:
    """`path`: the ORM path. `many`: a comma-separated list. `ranges`: also [gte] and so on. `null`: 'null' is
    allowed. `apply(queryset, text)` does what a path cannot (ValueError refuses the value). `code`: what this
    filter needs beside the list's permission; one on a sensitive field has that field's by itself."""

    path: str = ""
    many: bool = False
    ranges: bool = False
    null: bool = False
    apply: Callable[[QuerySet[Any], str], QuerySet[Any]] | None = None
    schema: dict[str, Any] | None = None
    code: str = ""


def refuse_unreadable(view: Any, path: str, code: str = "") -> None:
    """Raise Forbidden when `path` is, or `code` guards, something that this view's viewer may not read."""
    name = path.partition("__")[0]
    wanted = code or getattr(view.get_serializer_class(), "sensitive", {}).get(name, "")
    if wanted and not view.viewer.may(wanted):
        raise Forbidden("You may not ask about that field.", permission=wanted)


class AllowedFilters(BaseFilterBackend):
    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filters: dict[str, Filter] = getattr(view, "filters", {})
        for parameter in request.query_params:
            if parameter in RESERVED:
                continue
            match = _NAME.fullmatch(parameter)
            name, operator = (match[1], match[2] or "") if match else ("", "")
            entry = filters.get(name)
            if entry is None or (operator and not (entry.ranges and operator in OPERATORS)):
                raise unknown_parameter(parameter, _names(filters))
            refuse_unreadable(view, entry.path, entry.code)
            try:
                queryset = _narrow(queryset, entry, operator, request.query_params[parameter])
            except (ValueError, TypeError, ValidationError):
                raise refused_parameter(parameter, "bad_value", "This value cannot be read.") from None
        return queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        found = [_described("fields", {"type": "string"}, "Comma-separated names of fields to return.")]
        expandable = sorted(getattr(view.get_serializer_class(), "expandable", {}))
        if expandable:
            said = f"Comma-separated ids to answer as objects: {', '.join(expandable)}."
            found.append(_described("expand", {"type": "string"}, said))
        for name, entry in getattr(view, "filters", {}).items():
            kind = entry.schema or {"type": "string"}
            said = "Comma-separated values, any of which may match." if entry.many else ""
            found.append(_described(name, kind, said))
            if entry.ranges:
                found += [_described(f"{name}[{operator}]", kind, "") for operator in OPERATORS]
        return found


def refuse_parameters(request: Request, known: Iterable[str] = ()) -> None:
    """For views that are no viewset: whatever is not in `known` is refused, as lists do it."""
    for parameter in request.query_params:
        if parameter not in known:
            raise unknown_parameter(parameter, known)


def _names(filters: dict[str, Filter]) -> list[str]:
    """What may be asked of a list, one range standing for the four."""
    ranges = [f"{name}[{OPERATORS[-1]}]" for name, entry in filters.items() if entry.ranges]
    return [*filters, *ranges]


def _narrow(queryset: QuerySet[Any], entry: Filter, operator: str, text: str) -> QuerySet[Any]:
    if "\x00" in text:
        raise ValueError("a NUL character")
    if entry.apply is not None:
        return entry.apply(queryset, text)
    if operator:
        return queryset.filter(**{f"{entry.path}__{operator}": _value(queryset, entry.path, text)})
    if entry.null and text == "null":
        return queryset.filter(**{f"{entry.path}__isnull": True})
    if entry.many:
        values = [_value(queryset, entry.path, part) for part in text.split(",")]
        return queryset.filter(**{f"{entry.path}__in": values})
    return queryset.filter(**{entry.path: _value(queryset, entry.path, text)})


def _value(queryset: QuerySet[Any], path: str, text: str) -> Any:
    """`text` as the model's field reads it; ValidationError when it cannot."""
    model: Any = queryset.model
    field: Any = None
    for part in path.split("__"):
        field = model._meta.get_field(part)
        model = getattr(field, "related_model", None) or model
    field = getattr(field, "target_field", field)
    if field.get_internal_type() == "BooleanField" and text not in ("true", "false"):
        raise ValueError("true or false")
    value = field.to_python(text if text not in ("true", "false") else text == "true")
    if getattr(field, "choices", None) and value not in dict(field.flatchoices):
        raise ValueError("not one of the choices")
    return value


def refused_parameter(parameter: str, code: str, detail: str) -> Malformed:
    """The problem about one parameter of a query."""
    return Malformed(detail, errors=[FieldError(f"?{parameter[:64]}", code, detail)])


def unknown_parameter(parameter: str, known: Iterable[str]) -> Malformed:
    """The problem about a parameter that there is not, with those that there are."""
    there_are = f"There are: {', '.join(sorted(known)) or 'none'}."
    return refused_parameter(parameter, "unknown_parameter", f"There is no such parameter here. {there_are}")


def _described(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    described = {"name": name, "in": "query", "required": False, "schema": schema}
    return described | ({"description": description} if description else {})
