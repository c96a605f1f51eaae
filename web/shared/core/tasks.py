"""Celery tasks that cannot run without naming their tenant, and waking a worker for one.

`@tenant_task` wraps a function whose first argument is the tenant's id: the argument is checked before
anything else and the function runs inside that tenant. Nothing is taken from the worker's surroundings.

What a worker must do is a row, and beat finds every row that is due; `wake` only makes it soon. So it must
never hold up or fail the request that committed: one try, over connections of its own that give up after
PATIENCE (a worker's wait for the broker longer), and after a failure no other for PAUSE seconds in this
process, for whichever task. `once_after_commit` joins the wake-ups of one transaction.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery import current_app, shared_task
from django.db import connection, transaction
from kombu import pools

from web.shared.tenants.context import tenant_context

PATIENCE, PAUSE = 2.0, 5.0
EXPIRES = 60.0
"""A wake-up that nobody took so long is left to beat."""

logger = structlog.get_logger(__name__)
_not_before = 0.0


def tenant_task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`@tenant_task() def work(tenant_id, row_id): ...`, called `work.delay(tenant_id, row_id)`."""

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def inside(tenant_id: str, *args: Any, **kwargs: Any) -> Any:
            with tenant_context(tenant_id):
                return function(tenant_id, *args, **kwargs)

        return shared_task(**options)(inside)

    return decorate


def wake(task: Any, tenant_id: str, *args: Any, expires: float | None = EXPIRES) -> None:
    """Ask a worker to do `task` for this tenant now; says nothing when it cannot be asked."""
    global _not_before
    if time.monotonic() < _not_before:
        return
    try:
        with _producers().acquire(block=True, timeout=PATIENCE) as producer:
            task.apply_async((tenant_id, *args), producer=producer, retry=False, expires=expires)
    except Exception as error:  # Redis away in any of its ways: beat finds the row
        _not_before = time.monotonic() + PAUSE
        logger.warning("worker_not_woken", task=task.name, tenant=tenant_id, error=type(error).__name__)


def _producers() -> Any:
    limits = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE}
    return pools.producers[current_app.connection_for_write(transport_options=limits)]


def once_after_commit(key: str, send: Callable[[], None]) -> None:
    """Call `send` after the commit, once per transaction for all that say the same key.

    One that stands in a savepoint goes with it when that is rolled back, and the next one is taken.
    """
    waiting: list[Any] = [hook[1] for hook in connection.run_on_commit]
    if any(getattr(hook, "wakes", None) == key for hook in waiting):
        return

    def hook() -> None:
        send()

    hook.wakes = key  # type: ignore[attr-defined]
    transaction.on_commit(hook, robust=True)
