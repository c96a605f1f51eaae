"""A page of a case's timeline, by cursor: the position of the last entry, signed for this case alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core import signing
from rest_framework.request import Request

from web.shared.api.pagination import _limit as limit_of
from web.shared.api.problems import BadCursor, FieldError, Malformed
from web.shared.core import timeline
from web.shared.core.viewer import Viewer
from web.tenant.cases import queries
from web.tenant.cases.models import Case


def page_of_story(request: Request, case: Case, viewer: Viewer) -> dict[str, Any]:
    """{data, next_cursor, has_more}; entries of cases that were merged in are told, too."""
    strange = sorted(set(request.query_params) - {"limit", "cursor"})
    if strange:
        said = "This list has no such filter."
        raise Malformed(said, errors=[FieldError(f"?{strange[0][:64]}", "unknown_parameter", said)])
    limit, salt = limit_of(request), f"timeline:{case.pk}"
    before = _read(request.query_params.get("cursor"), salt)
    found = []
    for pk in [case.pk, *queries.merged_into(case.pk)]:
        found += timeline.read("case", pk, viewer, before=before, limit=limit + 1)
    found.sort(key=lambda entry: entry.position, reverse=True)
    page, more = found[:limit], len(found) > limit
    cursor = signing.dumps([page[-1].at.isoformat(), str(page[-1].id)], salt=salt) if more else None
    return {"data": [_entry(one) for one in page], "next_cursor": cursor, "has_more": more}


def _read(cursor: str | None, salt: str) -> tuple[datetime, str] | None:
    if not cursor:
        return None
    try:
        at, pk = signing.loads(cursor, salt=salt)
        return datetime.fromisoformat(at), str(pk)
    except (signing.BadSignature, ValueError, TypeError):
        raise BadCursor() from None


def _entry(entry: timeline.Entry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "kind": entry.kind,
        "id": str(entry.id),
        "actor_id": entry.actor_id and str(entry.actor_id),
        "data": entry.data,
    }
