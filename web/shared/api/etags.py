"""ETag and If-Match: nobody overwrites what they have not seen.

The ETag of a row is its revision. A GET with a matching If-None-Match answers 304; a change must name the
revision it was made from: none is 428, a stale one 412. The comparison happens on the locked row, in the
transaction of the change.
"""

from __future__ import annotations

from typing import Any

from django.utils.http import parse_etags
from rest_framework.request import Request

from web.shared.api.problems import PreconditionFailed, PreconditionRequired


def etag_of(row: Any) -> str:
    return f'"{row.revision}"'


def not_modified(request: Request, row: Any) -> bool:
    return etag_of(row) in parse_etags(request.headers.get("If-None-Match", ""))


def require_match(request: Request, row: Any) -> None:
    """Raise unless If-Match names this very revision (or `*`)."""
    given = request.headers.get("If-Match")
    if given is None:
        raise PreconditionRequired(headers={"ETag": etag_of(row)})
    named = parse_etags(given)
    if "*" not in named and etag_of(row) not in named:
        raise PreconditionFailed(headers={"ETag": etag_of(row)})
