"""The sockets' description over HTTP: AsyncAPI 3.0 as JSON."""

from __future__ import annotations

from functools import cache

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from realtime.describe import asyncapi as document


@cache
def _text() -> bytes:
    return msgspec.json.encode(document())


@require_safe
def asyncapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_text(), content_type="application/json")
