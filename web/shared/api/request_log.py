"""The log of requests that came with a key or a token, written off their path.

A request leaves its line in a bounded buffer; a thread of the process writes what has gathered every two
seconds, in one statement. Nothing waits for it: when the database does not answer, or lines come faster than
they go, the oldest are dropped. A crash loses what was in the buffer; for who did what there is the audit
trail, which is written with the change itself. Kept for 30 days.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import Error
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.api.models import APIKey, APIRequestLog
from web.shared.core.net import client_address
from web.shared.tenants.context import public_context, release_connection

ROOM = 10_000
BATCH = 1_000
KEPT = timedelta(days=30)

log = structlog.get_logger("murima.api")
_waiting: deque[APIRequestLog] = deque(maxlen=ROOM)
_starting = threading.Lock()
_thread: threading.Thread | None = None


def note(request: Any, status: int, seconds: float) -> None:
    """Remember one answered REST request; sessions' are not, nor are those of nobody."""
    if request.auth is None:
        return
    inner = request._request
    tenant, match = getattr(inner, "tenant", None), inner.resolver_match
    _waiting.append(
        APIRequestLog(
            tenant_id=None if tenant is None else tenant.pk,
            user_id=request.user.pk,
            api_key_id=request.auth.pk if isinstance(request.auth, APIKey) else None,
            endpoint="" if match is None else match.view_name,
            method=str(request.method)[:10],
            status_code=status,
            response_time=timedelta(seconds=seconds),
            ip_address=client_address(inner),
            request_id=getattr(inner, "request_id", ""),
        )
    )
    if settings.REQUEST_LOG_SECONDS:
        _ensure_thread()


def flush() -> int:
    """Write what has gathered; returns how many lines. Raises what the database raises, and drops them."""
    written = 0
    while _waiting:
        rows: list[APIRequestLog] = []
        with contextlib.suppress(IndexError):
            while len(rows) < BATCH:
                rows.append(_waiting.popleft())
        with public_context():
            APIRequestLog.objects.bulk_create(rows)
        written += len(rows)
    return written


def forget_old() -> int:
    """Delete lines older than KEPT; returns how many."""
    with public_context():
        count, _ = APIRequestLog.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    return count


def of_key(key: APIKey) -> QuerySet[APIRequestLog]:
    """What a key asked; the caller has checked that the key is theirs to look at."""
    return APIRequestLog.objects.filter(api_key=key, tenant_id=key.tenant_id)


def _ensure_thread() -> None:
    global _thread
    # A forked child has the variable but not the thread.
    if _thread is not None and _thread.is_alive():
        return
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="murima-request-log", daemon=True)
            _thread.start()


def _run() -> None:
    pause = threading.Event()
    while True:
        pause.wait(settings.REQUEST_LOG_SECONDS)
        try:
            flush()
        except Error as error:
            log.warning("request_log_lost", error=type(error).__name__)
        finally:
            release_connection()
