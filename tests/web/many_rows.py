"""Many rows of everything, made by the database.

Every row of an organisation's schema, and of the shared tables about people and keys, is copied some times
over, so each list grows without a factory of its own. A copy keeps what its row points at, so it stands in
the same parents' lists; where a unique index forbids that, it gets a value of its own, or points at a copy of
the parent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import connection

from web.shared.tenants.context import tenant_context

COPIES = 6

_TABLES = """
SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'SELECT')
  AND c.relname <> 'django_migrations'
  AND (n.nspname = %s OR n.nspname = 'public' AND c.relname ~ '^(accounts_|api_|tenants_tenantinvitation)')
ORDER BY 2, 3
"""
_COLUMNS = """
SELECT a.attname, t.typname, a.atttypmod, a.attidentity <> '',
  EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = a.attrelid AND f.contype = 'f'
    AND a.attnum = ANY(f.conkey) AND f.confrelid = ANY(%s::oid[])),
  EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = a.attrelid AND f.contype = 'f'
    AND a.attnum = ANY(f.conkey))
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
"""
# What a unique index is over: its columns, those in its expressions and its condition.
_UNIQUE = """
SELECT i.indexrelid, array_agg(DISTINCT a.attname::text ORDER BY a.attname::text) FROM pg_index i
LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype IN ('p', 'u')
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
  OR d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
WHERE i.indrelid = %s AND i.indisunique AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = i.indrelid AND d.refobjsubid > 0
GROUP BY 1
"""


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    size: int
    identity: bool
    copied: bool
    """Points at a row that is copied, too."""
    foreign: bool

    def changed(self, salt: str) -> str:
        """A value of its own for copy `n`; the same rule for an id and for what points at it."""
        if self.type == "uuid":
            return f"md5(t.\"{self.name}\"::text || '{salt}' || n)::uuid"
        if self.type == "bytea":
            return f"sha256(t.\"{self.name}\" || convert_to(n::text, 'UTF8'))"
        if self.type in ("int2", "int4", "int8"):
            return f't."{self.name}" + 1000 + n'
        room = f'left(t."{self.name}", {self.size - 4 - 4})' if self.size > 0 else f't."{self.name}"'
        return f"{room} || lpad(n::text, 4, '0')"


def multiply(tenant: str) -> None:
    """COPIES of every row: of the tenant's schema, and of the shared tables about people and keys."""
    chosen = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.choices
    }
    # Triggers of a tenant's tables name no schema.
    with tenant_context(tenant), connection.cursor() as cursor:
        cursor.execute(_TABLES, [tenant])
        tables = cursor.fetchall()
        oids = [oid for oid, _, _ in tables]
        for oid, schema, name in tables:
            cursor.execute(_COLUMNS, [oids, oid])
            columns = {row[0]: _Column(*row) for row in cursor.fetchall()}
            cursor.execute(_UNIQUE, [oid])
            unique = [
                [columns[one] for one in names if one in columns and (name, one) not in chosen]
                for _, names in cursor.fetchall()
            ]
            for statement in _copies(f'"{schema}"."{name}"', columns, unique):
                cursor.execute(statement)


def _copies(table: str, columns: dict[str, _Column], unique: list[list[_Column]]) -> Iterator[str]:
    """An INSERT for each way in which a copy of a row can differ from it enough: by nothing but its key, by a
    parent, by a value. The first of them that succeeds is the one that copies of its children point at."""
    own: set[str] = set()
    either: list[list[str]] = []
    for index in unique:
        told = [one.name for one in index if _own(one)]
        parents = [one.name for one in index if one.copied and one.type == "uuid"]
        if parents:
            either.append(["", *parents, *told[:1]])
        else:
            own.update(told[:1])
    written = [name for name, column in columns.items() if not column.identity]
    for number, moved in enumerate(itertools.product(*either)):
        values = ", ".join(
            columns[name].changed("" if columns[name].foreign or number < 2 else str(number))
            if name in own or name in moved
            else f't."{name}"'
            for name in written
        )
        names = ", ".join(f'"{name}"' for name in written)
        yield (
            f"INSERT INTO {table} ({names}) SELECT {values} FROM (SELECT * FROM {table} LIMIT 50) t, "
            f"generate_series(1, {COPIES}) n ON CONFLICT DO NOTHING"
        )


def _own(column: _Column) -> bool:
    """Whether a copy may have another value here, whatever else it holds."""
    kinds = ("uuid", "int2", "int4", "int8", "text", "varchar", "bytea")
    return not column.foreign and not column.identity and column.type in kinds
