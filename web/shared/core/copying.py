"""Inserting thousands of rows at once, by COPY: several times as fast as bulk_create, which writes SQL text.

Like bulk_create it sends no signals and calls no `save`; unlike it, it takes one model's rows with their keys
set, and leaves to the database what has no value here (identity columns, defaults that the database fills).
Errors come as Django's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, connections, models
from django.db.models.expressions import DatabaseDefault


def insert(rows: Sequence[models.Model]) -> int:
    """Insert `rows`, all of one model, in the current transaction; returns how many."""
    if not rows:
        return 0
    meta = type(rows[0])._meta
    fields: list[Any] = [field for field in meta.concrete_fields if not _left_out(field, rows[0])]
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    statement = f"COPY {connection.ops.quote_name(meta.db_table)} ({names}) FROM STDIN"
    link: Any = connections[connection.alias]  # the proxy would look it up for each value
    with link.wrap_database_errors, link.cursor() as cursor:
        raw: Any = cursor
        with raw.copy(statement) as copy:
            for row in rows:
                copy.write_row([field.get_db_prep_save(field.pre_save(row, True), link) for field in fields])
    for row in rows:
        row._state.adding, row._state.db = False, link.alias
    return len(rows)


def _left_out(field: models.Field[Any, Any], row: models.Model) -> bool:
    value = getattr(row, field.attname)
    return isinstance(value, DatabaseDefault) or (value is None and field.primary_key)
