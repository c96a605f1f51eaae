"""What tests of events, webhooks and jobs share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from web.shared.tenants.context import tenant_context


@contextmanager
def in_thread(tenant_id: str, work: Callable[[], Any]) -> Iterator[None]:
    """Run `work` inside the tenant in a thread of its own, beside the block; raises what it raised."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with tenant_context(tenant_id):
                work()
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
    assert not thread.is_alive(), "the thread did not end"
    if failures:
        raise failures[0]
