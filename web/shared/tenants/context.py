"""The only ways to choose whose data a query sees.

Synchronous code: `with tenant_context(tenant_id): ...` or `with public_context(): ...`. They nest, belong to
the thread that entered them, and put back exactly what was chosen before, which may be nothing.

Asynchronous code: `await tenant_db(tenant_id, fn, *args)`. The schema is chosen inside the same thread, right
around `fn`. Choosing it in one await and querying in another returned another tenant's rows in half of
1,200 messages, so nothing here offers that. `fn` must return plain values, not a lazy queryset: once outside,
a queryset raises.

Statements run on a small pool of threads of their own, so that a slow query cannot starve the event loop's
default executor, and each thread gives its connection back when `fn` is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection

from web.shared.tenants.ids import PUBLIC, TenantId, as_tenant_id

P = ParamSpec("P")
R = TypeVar("R")

_THREADS = ThreadPoolExecutor(max_workers=6, thread_name_prefix="murima-db")


@contextlib.contextmanager
def _schema(name: str) -> Iterator[None]:
    wrapper = cast(Any, connection)
    before = wrapper.tenant
    wrapper.set_schema(name)
    try:
        yield
    finally:
        if before is None:
            wrapper.forget_schema()
        else:
            wrapper.set_tenant(before)


def tenant_context(tenant_id: str) -> contextlib.AbstractContextManager[None]:
    """Queries inside see this tenant's schema and, behind it, the shared tables."""
    return _schema(as_tenant_id(tenant_id))


def public_context() -> contextlib.AbstractContextManager[None]:
    """Queries inside see the shared tables only."""
    return _schema(PUBLIC)


def current_tenant_id() -> TenantId | None:
    """The tenant chosen in this thread; None when it is public or nothing."""
    name = cast(Any, connection).schema_name
    return None if name in (None, PUBLIC) else as_tenant_id(name)


def release_connection() -> None:
    """Give this thread's connection back to the pool, unless a transaction around us needs it."""
    if not connection.in_atomic_block:
        close_old_connections()


def _run(schema: str, fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    release_connection()
    try:
        with _schema(schema):
            return fn(*args, **kwargs)
    finally:
        release_connection()


async def tenant_db(tenant_id: str, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `fn(*args, **kwargs)` in a database thread, inside this tenant. Errors of `fn` come through."""
    hop = sync_to_async(_run, thread_sensitive=False, executor=_THREADS)
    return await hop(as_tenant_id(tenant_id), fn, args, dict(kwargs))


async def public_db(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `fn(*args, **kwargs)` in a database thread, seeing the shared tables only."""
    hop = sync_to_async(_run, thread_sensitive=False, executor=_THREADS)
    return await hop(PUBLIC, fn, args, dict(kwargs))
