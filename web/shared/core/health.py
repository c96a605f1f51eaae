"""/livez, /readyz and /metrics, on any host and before any tenant is looked up.

Live: the process answers. Ready: PostgreSQL and Redis answer within two seconds; the daemon and Asterisk are
reported but do not make the web tier unready (the desk says so itself). Metrics: to this machine, or with
`Authorization: Bearer <MURIMA_METRICS_TOKEN>`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from web.shared.core.net import is_loopback
from web.shared.core.stores import redis_client
from web.shared.tenants.context import public_context


def health_endpoints(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    answers: dict[str, Callable[[HttpRequest], HttpResponse]] = {
        "/livez": _livez,
        "/readyz": _readyz,
        "/metrics": _metrics,
    }

    def middleware(request: HttpRequest) -> HttpResponseBase:
        answer = answers.get(request.path)
        return get_response(request) if answer is None else answer(request)

    return middleware


def _livez(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "live"})


def _readyz(_: HttpRequest) -> HttpResponse:
    checks = {"database": database_answers(), "redis": redis_answers()}
    good = all(checks.values())
    return JsonResponse(
        {"status": "ready" if good else "not ready", "checks": checks}, status=200 if good else 503
    )


def _metrics(request: HttpRequest) -> HttpResponse:
    token = settings.METRICS_TOKEN
    shown = request.headers.get("Authorization", "")
    if not is_loopback(request) and not (
        token and secrets.compare_digest(shown.encode(), f"Bearer {token}".encode())
    ):
        return HttpResponse(status=404)
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def database_answers() -> bool:
    try:
        with public_context(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except (DatabaseError, OSError, _pool_timeout()):
        return False


def redis_answers() -> bool:
    try:
        return bool(redis_client().ping())
    except (redis.RedisError, OSError):
        return False


def _pool_timeout() -> Any:
    from psycopg_pool import PoolTimeout

    return PoolTimeout
