"""The frame around every request: its id, its log line, its metrics.

X-Request-Id from outside is kept when it is short and plain, else replaced; it is echoed, bound to every log
line of the request and written to the audit trail. The log line names the route, never the path or query.

The database connection goes back to its pool here, in the thread that used it: Django does so when the
response is closed, which a client that goes away early can prevent, and each such request would then take
one connection out of the pool for ever.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from web.shared.core.metrics import HTTP_REQUESTS, HTTP_SECONDS
from web.shared.tenants.context import release_connection

log = structlog.get_logger("murima.web")
_PLAIN = re.compile(r"[A-Za-z0-9._-]{8,64}")
QUIET = {"livez", "readyz", "metrics"}


def request_frame(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: Any) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if _PLAIN.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.request_id)
        started = time.monotonic()
        try:
            response = get_response(request)
        finally:
            release_connection()
        response["X-Request-Id"] = request.request_id
        if request.path.startswith("/api/"):
            response.setdefault("Cache-Control", "no-store")
        _account(request, response, time.monotonic() - started)
        return response

    return middleware


def one_thread(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Does nothing, innermost and synchronously: all middleware around it then runs in the view's own thread,
    without a hop per middleware."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    return middleware


def _account(request: Any, response: HttpResponseBase, seconds: float) -> None:
    match = getattr(request, "resolver_match", None)
    route = (match.view_name if match is not None else "") or request.path.strip("/") * (
        request.path.strip("/") in QUIET
    )
    tenant = getattr(getattr(request, "tenant", None), "pk", None) or "public"
    status = response.status_code
    method = (
        request.method
        if request.method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        else "?"
    )
    HTTP_REQUESTS.labels(tenant, route, method, str(status)).inc()
    HTTP_SECONDS.labels(tenant, route).observe(seconds)
    if route not in QUIET:
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            seconds=round(seconds, 4),
            user=str(getattr(request, "actor_id", "") or ""),
        )
