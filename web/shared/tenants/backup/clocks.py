"""Transaction numbers that came from another database server.

Events and audit rows remember the transaction that wrote them, and readers go through them in that order up
to the oldest transaction that still runs. A server that has counted less far would hold restored rows for
unfinished, and put new ones before them. So when a restored schema is ahead of this server, its numbers are
replaced by 3, 4, 5 and so on in the same order, alike in every table, and the server counts on past them.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from web.shared.tenants.backup import servers
from web.shared.tenants.ids import as_tenant_id

FIRST = 3
_COLUMNS = """
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'r' AND a.atttypid = 'xid8'::regtype
AND NOT a.attisdropped ORDER BY 1, 2
"""
_COUNT_ON = """
DO $$ BEGIN FOR i IN 1..{steps} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$
"""
_STEPS = 20_000


def settle(schema: str) -> int:
    """Make this schema's transaction numbers older than any new one; returns how many were replaced."""
    schema = as_tenant_id(schema)
    with servers.connect() as link:
        places = link.execute(_COLUMNS, [schema]).fetchall()
        if not places:
            return 0
        numbers = _numbers(link, schema, places)
        if not numbers or int(numbers[-1]) < _now(link):
            return 0
        link.execute("CREATE TEMP TABLE renumbered (old xid8 PRIMARY KEY, new xid8 NOT NULL)")
        with link.cursor().copy("COPY pg_temp.renumbered FROM STDIN") as copy:
            for place, number in enumerate(numbers):
                copy.write_row([str(number), str(FIRST + place)])
        for table, column in places:
            link.execute(
                sql.SQL("UPDATE {0} t SET {1} = r.new FROM pg_temp.renumbered r WHERE t.{1} = r.old").format(
                    sql.Identifier(schema, table), sql.Identifier(column)
                )
            )
    _count_on(FIRST + len(numbers))
    return len(numbers)


def _numbers(link: psycopg.Connection[Any], schema: str, places: list[Any]) -> list[str]:
    """Every number that occurs, in order; 0 means none and stays."""
    every = sql.SQL(" UNION ").join(
        sql.SQL("SELECT {} AS number FROM {}").format(sql.Identifier(column), sql.Identifier(schema, table))
        for table, column in places
    )
    query = sql.SQL("SELECT number::text FROM ({}) n WHERE number > '0'::xid8 ORDER BY n.number").format(
        every
    )
    return [number for (number,) in link.execute(query).fetchall()]


def _now(link: psycopg.Connection[Any]) -> int:
    row = link.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert row is not None
    return int(row[0])


def _count_on(past: int) -> None:
    """Use up transaction numbers until the server's is greater than `past`."""
    with servers.connect() as link:
        link.autocommit = True
        while (left := past - _now(link)) > 0:
            link.execute(_COUNT_ON.format(steps=min(left + 1, _STEPS)).encode())
