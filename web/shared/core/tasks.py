"""Celery tasks that cannot run without naming their tenant.

`@tenant_task` wraps a function whose first argument is the tenant's id: the argument is checked before
anything else and the function runs inside that tenant. Nothing is taken from the worker's surroundings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from celery import shared_task

from web.shared.tenants.context import tenant_context


def tenant_task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`@tenant_task() def work(tenant_id, row_id): ...`, called `work.delay(tenant_id, row_id)`."""

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def inside(tenant_id: str, *args: Any, **kwargs: Any) -> Any:
            with tenant_context(tenant_id):
                return function(tenant_id, *args, **kwargs)

        return shared_task(**options)(inside)

    return decorate
