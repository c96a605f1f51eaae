"""Connections come back to the pool, whatever becomes of the thread that took them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from web.shared.core import audit
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent
from web.shared.tenants.backend.base import CHECK_AFTER_SECONDS
from web.shared.tenants.context import tenant_context, tenant_db

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]
THREADS = 50


def pool() -> Any:
    found = connection.pool  # type: ignore[attr-defined]
    assert found.max_size < THREADS // 4, "more connections than this test could use up"
    return found


def taken() -> int:
    """Connections that are out of the pool, this thread's own not counted."""
    connection.close()
    stats = pool().get_stats()
    return int(stats.get("pool_size", 0)) - int(stats.get("pool_available", 0))


def wait_until_nobody_holds_one() -> None:
    until = time.monotonic() + 20
    while taken():
        assert time.monotonic() < until, f"{taken()} connections were not given back"
        time.sleep(0.05)


def come_and_go(work: Callable[[], Any], *, together: int) -> list[Any]:
    """`work` in THREADS threads, so many at once, each of which ends without closing anything."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(work())
        except BaseException as error:
            got.append(error)

    for _ in range(THREADS // together):
        threads = [threading.Thread(target=run) for _ in range(together)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    return got


def write(tenant_id: str) -> str:
    with tenant_context(tenant_id):
        audit.record(actor=system("tests"), action="canary", object_type="x", object_id="1")
    return "written"


@pytest.mark.parametrize("together", [1, THREADS])
def test_a_small_pool_is_enough_for_many_threads_that_come_and_go(tenants: Any, together: int) -> None:
    pk = tenants[0].pk
    assert come_and_go(lambda: write(pk), together=together) == ["written"] * THREADS
    wait_until_nobody_holds_one()
    with tenant_context(pk):
        assert AuditEvent.objects.filter(action="canary").count() == THREADS


def end_all_sessions() -> None:
    """What the pool holds dies, as when PostgreSQL is started anew."""
    user = connection.settings_dict["USER"]
    with psycopg.connect(os.environ["MURIMA_TEST_SUPERUSER_URL"], autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [user]
        )


def test_after_postgresql_was_away_the_first_who_asks_is_served(tenants: Any) -> None:
    pk = tenants[0].pk
    come_and_go(lambda: write(pk), together=THREADS)
    wait_until_nobody_holds_one()
    assert pool().get_stats()["pool_available"] == pool().max_size
    end_all_sessions()
    time.sleep(2 * CHECK_AFTER_SECONDS)
    assert write(pk) == "written"
    assert come_and_go(lambda: write(pk), together=5) == ["written"] * THREADS
    wait_until_nobody_holds_one()


def test_a_thread_that_ends_inside_a_transaction_leaves_neither_row_nor_lock(tenants: Any) -> None:
    pk = tenants[0].pk

    def abandon() -> None:
        with tenant_context(pk):
            # As when the thread's work is cut off: nobody leaves the block.
            transaction.atomic().__enter__()
            audit.record(actor=system("tests"), action="canary", object_type="x", object_id="1")

    assert come_and_go(abandon, together=5) == [None] * THREADS
    wait_until_nobody_holds_one()
    with tenant_context(pk):
        assert not AuditEvent.objects.filter(action="canary").exists()


def test_helpers_of_asynchronous_code_give_back_what_they_took(tenants: Any) -> None:
    pk = tenants[0].pk

    async def everybody() -> list[str]:
        return await asyncio.gather(*[tenant_db(pk, write, pk) for _ in range(THREADS)])

    assert asyncio.run(everybody()) == ["written"] * THREADS
    wait_until_nobody_holds_one()


def test_a_request_gives_back_what_it_took_also_when_its_client_goes_away(tenants: Any) -> None:
    """As the server runs them: each request in a thread of its own, cut off while it is answered."""
    from asgiref.testing import ApplicationCommunicator
    from django.core.asgi import get_asgi_application

    from web.shared.tenants.services import host_of

    application = get_asgi_application()

    async def ask(gone: bool) -> None:
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": "/api/v1/auth/me/",
            "query_string": b"", "headers": [(b"host", host_of("mto").encode())],
        }  # fmt: skip
        request = ApplicationCommunicator(application, scope)
        await request.send_input({"type": "http.request", "body": b"", "more_body": False})
        if gone:
            await request.send_input({"type": "http.disconnect"})
        else:
            assert (await request.receive_output(30))["type"] == "http.response.start"
        await request.wait(30)

    async def everybody() -> None:
        await asyncio.gather(*[ask(n % 2 == 0) for n in range(THREADS)])

    asyncio.run(everybody())
    wait_until_nobody_holds_one()
