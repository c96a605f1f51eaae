"""Writing thousands of rows at once: inserting by COPY, changing by one UPDATE over arrays.

Like bulk_create and bulk_update these send no signals and call no `save`; unlike them, `insert` takes one
model's rows with their keys set, and leaves to the database what has no value here (identity columns,
defaults that the database fills). Errors come as Django's own.

Making a model's instance and asking each field to prepare its value take longer than the database needs for
the row. So `like` copies a row that was made once, and a value of the very type that its field stores goes as
it is: it is what the field would have answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, connections, models
from django.db.models.base import ModelState
from django.db.models.expressions import DatabaseDefault

M = TypeVar("M", bound=models.Model)
_STORED: dict[type[models.Field[Any, Any]], type] = {
    models.BooleanField: bool,
    models.CharField: str,
    models.DateField: date,
    models.DateTimeField: datetime,
    models.EmailField: str,
    models.TextField: str,
    models.UUIDField: UUID,
}
"""Fields, and what a value's type is when the database takes it as it is."""


def like(template: M, **values: Any) -> M:
    """A new row that says what `template` says, but for `values` (by attribute: `contact_id`, not `contact`).

    What nobody names is shared, not made anew: name the primary key, and whatever has a default of its own.
    """
    made = type(template).__new__(type(template))
    made.__dict__.update(template.__dict__)
    made.__dict__.update(values)
    made._state = ModelState()
    return made


def insert(rows: Sequence[models.Model]) -> int:
    """Insert `rows`, all of one model, in the current transaction; returns how many."""
    if not rows:
        return 0
    meta = type(rows[0])._meta
    fields: list[Any] = [field for field in meta.concrete_fields if not _left_out(field, rows[0])]
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    statement = f"COPY {connection.ops.quote_name(meta.db_table)} ({names}) FROM STDIN"
    link: Any = connections[connection.alias]  # the proxy would look it up for each value
    readers = [_reader(field, link) for field in fields]
    with link.wrap_database_errors, link.cursor() as cursor:
        raw: Any = cursor
        with raw.copy(statement) as copy:
            for row in rows:
                copy.write_row([read(row) for read in readers])
    for row in rows:
        row._state.adding, row._state.db = False, link.alias
    return len(rows)


def update(rows: Sequence[models.Model], names: Sequence[str]) -> int:
    """Write the fields `names` of `rows`, all of one model, in one statement; returns how many there were.

    Rows are found by their primary keys; what save does by itself (times, revisions) is for the caller.
    """
    if not rows:
        return 0
    meta = type(rows[0])._meta
    link: Any = connections[connection.alias]
    quote = link.ops.quote_name
    fields: list[Any] = [meta.pk, *(meta.get_field(name) for name in names)]
    arrays = [[field.get_db_prep_save(getattr(row, field.attname), link) for row in rows] for field in fields]
    kinds = ", ".join(f"%s::{_array(field, link)}" for field in fields)
    columns = [quote(field.column) for field in fields]
    changes = ", ".join(f"{column} = new.{column}" for column in columns[1:])
    table = quote(meta.db_table)
    with link.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} AS old SET {changes} FROM unnest({kinds}) AS new ({', '.join(columns)})"  # noqa: S608
            f" WHERE old.{columns[0]} = new.{columns[0]}",
            arrays,
        )
        return int(cursor.rowcount)


def _array(field: Any, link: Any) -> str:
    """The type of an array of the field's values. A cast to varchar(n) would cut what is too long."""
    kind = str(field.db_type(link))
    return "text[]" if kind.startswith("varchar") else f"{kind}[]"


def _left_out(field: models.Field[Any, Any], row: models.Model) -> bool:
    value = getattr(row, field.attname)
    return isinstance(value, DatabaseDefault) or (value is None and field.primary_key)


def _reader(field: Any, link: Any) -> Callable[[models.Model], Any]:
    """What takes the field's value out of a row, ready for the database."""
    name = field.attname
    stored = _STORED.get(type(field.target_field if field.remote_field else field))
    if stored is None or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return lambda row: field.get_db_prep_save(field.pre_save(row, True), link)

    def read(row: models.Model) -> Any:
        value = row.__dict__[name]
        if value is None or type(value) is stored:
            return value
        return field.get_db_prep_save(field.pre_save(row, True), link)

    return read
