"""Floors after a start: the newest checkpoint of each tenant and the entries after it.

Local files first, because they are the only place of what was not committed; PostgreSQL fills what they
lack: before them (another directory wrote), or after them (the host lost its last moments). A hole that
nobody can fill is an error, never a guess.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import structlog

from telephony import codec
from telephony.adapters.log.local import Local
from telephony.adapters.log.postgres import Database, connected
from telephony.adapters.log.records import ENTRY
from telephony.adapters.log.segment import Segments
from telephony.contract.frames import Entry
from telephony.contract.ids import TenantId
from telephony.contract.view import View, apply

_log = structlog.get_logger(__name__)


class Unrecoverable(Exception):
    """Entries are missing here and PostgreSQL does not have them, or is away."""


async def recover(local: Local, segments: Segments, url: str, shard: str) -> dict[TenantId, View]:
    """See the module; psycopg.Error can only come from a database that went away in the middle."""
    views = await asyncio.to_thread(local.checkpoints)
    async with _database(url, shard) as database:
        there: dict[TenantId, int] = {}
        if database is not None:
            there = await database.positions()
            for tenant, view in (await database.checkpoints()).items():
                if tenant not in views or views[tenant].seq < view.seq:
                    views[tenant] = view
        entries = await asyncio.to_thread(
            _entries, segments, {tenant: view.seq for tenant, view in views.items()}
        )
        for tenant in sorted(set(there) | set(entries)):
            view = views.setdefault(tenant, View(tenant=tenant))
            for entry in entries.get(tenant, []):
                if entry.seq > view.seq + 1:
                    await _fill(database, view, entry.seq - 1)
                apply(view, entry)
            await _fill(database, view, there.get(tenant, 0))
    _log.info("log_recovered", tenants=len(views), with_database=database is not None)
    return views


async def _fill(database: Database | None, view: View, upto: int) -> None:
    """Fold entries from the database until the view stands at `upto`."""
    if view.seq >= upto:
        return
    if database is not None:
        async for entry in database.entries(TenantId(view.tenant), view.seq):
            if entry.seq > upto:
                break
            apply(view, entry)
    if view.seq < upto:
        where = "lacks them" if database is not None else "is away"
        raise Unrecoverable(
            f"tenant {view.tenant}: entries {view.seq + 1} to {upto} are not here, PostgreSQL {where}"
        )


def _entries(segments: Segments, covered: dict[TenantId, int]) -> dict[TenantId, list[Entry]]:
    found: dict[TenantId, list[Entry]] = {}
    for record, _ in segments.replay():
        if record.kind != ENTRY:
            continue
        head = codec.entry_columns(record.payload)
        tenant = TenantId(head.tenant)
        if head.seq > covered.get(tenant, 0):
            found.setdefault(tenant, []).append(codec.decode_entry(record.payload))
    return found


@asynccontextmanager
async def _database(url: str, shard: str) -> AsyncIterator[Database | None]:
    """The database, or None when it is away."""
    try:
        opened = connected(url, shard)
        database = await opened.__aenter__()
    except (psycopg.Error, OSError, TimeoutError):
        yield None
        return
    try:
        yield database
    finally:
        await opened.__aexit__(None, None, None)
