"""The log, as the web tier reads it: a tenant's entries after a position, its checkpoint, its head.

Readers keep their own position (the intake in the tenant's schema, a desk's replica in memory) and ask for
what comes after. Rows are shown by row security for the one tenant named here, whichever schema is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from telephony import codec
from telephony.contract.frames import Entry
from telephony.contract.view import View
from web.shared.tenants.context import tenant_context

CHANNEL = "murima_log"
"""NOTIFY channel; the payload is '<tenant> <seq>'. A notice may be lost: poll, too."""


def read(tenant_id: str, *, after: int, limit: int = 500) -> list[Entry]:
    """At most `limit` entries with seq > after, in order. A fact of a newer release is an `Unknown`."""
    with rows_of(tenant_id) as cursor:
        cursor.execute(
            "SELECT epoch, seq, at, type, data::text, ask FROM public.log_fact "
            "WHERE tenant = %s AND seq > %s ORDER BY seq LIMIT %s",
            [tenant_id, after, limit],
        )
        found = cursor.fetchall()
    return [
        codec.entry(tenant_id, epoch, seq, at, kind, data.encode(), ask)
        for epoch, seq, at, kind, data, ask in found
    ]


def checkpoint(tenant_id: str) -> View | None:
    """The newest checkpoint; None before the first. Fold `read(after=view.seq)` into it."""
    with rows_of(tenant_id) as cursor:
        cursor.execute("SELECT data::text FROM public.log_checkpoint WHERE tenant = %s", [tenant_id])
        row = cursor.fetchone()
    return None if row is None else codec.decode_view(row[0].encode())


def head(tenant_id: str) -> int:
    """The seq of the last committed entry, 0 before the first."""
    with rows_of(tenant_id) as cursor:
        cursor.execute("SELECT seq FROM public.log_position WHERE tenant = %s", [tenant_id])
        row = cursor.fetchone()
    return 0 if row is None else int(row[0])


@contextmanager
def rows_of(tenant_id: str) -> Iterator[Any]:
    """A cursor for which row security shows this tenant's rows of the log, until the block ends."""
    with tenant_context(tenant_id), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('murima.tenant', %s, true)", [tenant_id])
        yield cursor
        # Inside a longer transaction the setting would outlive the block.
        cursor.execute("SELECT set_config('murima.tenant', '', true)")
