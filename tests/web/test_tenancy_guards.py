"""What a thread of the database pool remembers of the last tenant: nothing, also after an error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import connection

from web.shared.tenants import context
from web.shared.tenants.backend.base import SchemaNotChosen
from web.shared.tenants.context import tenant_db

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def schema() -> str | None:
    return connection.schema_name  # type: ignore[attr-defined, no-any-return]


def ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def fail() -> None:
    raise KeyError("a defect")


async def test_a_database_thread_knows_no_tenant_afterwards(tenants: Any) -> None:
    loop, tenant = asyncio.get_running_loop(), tenants[0].pk
    assert await tenant_db(tenant, schema) == tenant
    with pytest.raises(KeyError):
        await tenant_db(tenant, fail)
    for _ in range(12):
        assert await loop.run_in_executor(context._THREADS, schema) is None
        with pytest.raises(SchemaNotChosen):
            await loop.run_in_executor(context._THREADS, ask)
