"""Lists by cursor: `{data, next_cursor, has_more}` and a Link header.

The order is the view's `sort` (one allowed field, `-` for descending) with the id as tie-break, so that no
row is skipped or shown twice while others are added. A cursor is a signed note of the last row's sort value
and id; it is bound to the sort and to the tenant, and says nothing to whoever holds it. Empty values come
last in both directions.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import refuse_unreadable
from web.shared.api.problems import BadCursor, FieldError, Malformed

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


class CursorPages(BasePagination):
    """Reads `sort_fields` (public name → model field) and `default_sort` from the view."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self._request = request
        self._limit = _limit(request)
        allowed: dict[str, str] = getattr(view, "sort_fields", {"created_at": "created_at"})
        asked = str(request.query_params.get("sort") or getattr(view, "default_sort", "-created_at"))
        descending, name = asked.startswith("-"), asked.removeprefix("-")
        if name not in allowed:
            raise Malformed(
                "This list cannot be sorted by that.",
                errors=[FieldError("?sort", "unknown_sort", f"One of: {', '.join(sorted(allowed))}.")],
            )
        if view is not None and hasattr(view, "get_serializer_class"):
            refuse_unreadable(view, allowed[name])
        self._field, self._salt = allowed[name], f"cursor:{_tenant(request)}:{asked}"
        nulls = _may_be_null(queryset.model, self._field)
        rows = queryset.order_by(*_order(self._field, descending, nulls))
        cursor = request.query_params.get("cursor")
        if cursor:
            page = _page_after(
                rows, self._field, descending, *self._read(cursor), nulls=nulls, size=self._limit + 1
            )
        else:
            page = list(rows[: self._limit + 1])
        self._has_more = len(page) > self._limit
        self._page = page[: self._limit]
        self._count = queryset.count() if request.query_params.get("count") == "true" else None
        return self._page

    def get_paginated_response(self, data: Any) -> Response:
        cursor = self._write(self._page[-1]) if self._has_more else None
        body = {"data": data, "next_cursor": cursor, "has_more": self._has_more}
        if self._count is not None:
            body["count"] = self._count
        headers = {} if cursor is None else {"Link": f'<{self._next_url(cursor)}>; rel="next"'}
        return Response(body, headers=headers)

    def _next_url(self, cursor: str) -> str:
        query = self._request.query_params.copy()
        query["cursor"] = cursor
        return self._request.build_absolute_uri(
            f"{self._request.path}?{urlencode(list(query.lists()), doseq=True)}"
        )

    def _write(self, row: Model) -> str:
        value: Any = row
        for part in self._field.split("__"):
            value = getattr(value, part, None)
        return signing.dumps([None if value is None else _text(value), str(row.pk)], salt=self._salt)

    def _read(self, cursor: str) -> tuple[str | None, str]:
        try:
            value, pk = signing.loads(cursor, salt=self._salt)
        except (signing.BadSignature, ValueError, TypeError):
            raise BadCursor() from None
        return value, pk

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["data", "next_cursor", "has_more"],
            "properties": {
                "data": schema,
                "next_cursor": {"type": ["string", "null"]},
                "has_more": {"type": "boolean"},
                "count": {"type": "integer", "description": "Only with count=true."},
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        allowed = sorted(getattr(view, "sort_fields", {"created_at": ""}))
        sorts = [*allowed, *(f"-{name}" for name in allowed)]
        return [
            _parameter(
                "limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
            ),
            _parameter("cursor", {"type": "string"}),
            _parameter("sort", {"type": "string", "enum": sorts}),
            _parameter("count", {"type": "boolean"}),
        ]


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise Malformed(
            "The limit is out of range.", errors=[FieldError("?limit", "out_of_range", f"1 to {MAX_LIMIT}.")]
        )
    return int(text)


def _tenant(request: Request) -> str:
    return str(getattr(getattr(request, "tenant", None), "pk", "public"))


def _may_be_null(model: Any, path: str) -> bool:
    """Whether sorting by `path` may meet a null; for an annotation nobody knows."""
    for part in path.split("__"):
        try:
            field = model._meta.get_field(part)
        except FieldDoesNotExist:
            return True
        if getattr(field, "null", True):
            return True
        model = field.related_model or model
    return False


def _order(field: str, descending: bool, nulls: bool = True) -> list[OrderBy]:
    """NULLS LAST only where there may be nulls: PostgreSQL reads no index backwards for it."""
    last = {"nulls_last": True} if nulls else {}
    ordering = F(field).desc(**last) if descending else F(field).asc(**last)
    return [ordering, F("pk").desc() if descending else F("pk").asc()]


def _page_after(
    rows: QuerySet[Any], field: str, descending: bool, value: str | None, pk: str, *, nulls: bool, size: int
) -> list[Any]:
    """The next `size` of the ordered `rows`. Those without a value come last and are read only when those
    with one are at their end: asked for at once, the two would leave an index scan no place to begin."""
    found: list[Any] = []
    if value is not None:
        found = list(rows.filter(_after(field, descending, value, pk))[:size])
    if nulls and len(found) < size:
        empty = Q(**{f"{field}__isnull": True})
        if value is None:
            empty &= Q(**{f"pk__{'lt' if descending else 'gt'}": pk})
        found += rows.filter(empty)[: size - len(found)]
    return found


def _after(field: str, descending: bool, value: str, pk: str) -> Q:
    """A plain bound on the sorted field is where an index scan can begin."""
    beyond = "lt" if descending else "gt"
    tied = Q(**{f"{field}__{beyond}": value}) | Q(**{f"pk__{beyond}": pk})
    return Q(**{f"{field}__{beyond}e": value}) & tied


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
