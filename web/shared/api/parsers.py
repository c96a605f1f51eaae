"""JSON bodies, strictly.

UTF-8, no NaN, at most 2.5 MB and 32 levels, no NUL and no half of a surrogate pair: PostgreSQL can store
neither, and finding that out there would be our failure instead of the sender's.
"""

from __future__ import annotations

import io
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from web.shared.api.problems import TooLarge

DEEPEST = 32
_TOO_DEEP = f"JSON bodies have at most {DEEPEST} levels."


class StrictJSONParser(JSONParser):
    strict = True

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The body as Python values. ParseError, or TooLarge without reading more than the limit."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 2_621_440
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge()
        try:
            parsed = super().parse(io.BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError(_TOO_DEEP) from None
        _check(parsed, DEEPEST)
        return parsed


class MergePatchParser(StrictJSONParser):
    """RFC 7396: what is named is set, null empties, what is not named stays."""

    media_type = "application/merge-patch+json"


def _check(value: Any, levels: int) -> None:
    if levels == 0:
        raise ParseError(_TOO_DEEP)
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ParseError("A text holds a NUL character or half of a surrogate pair.")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check(name, levels)
            _check(inner, levels - 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, levels - 1)
