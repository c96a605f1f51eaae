"""Which rows of the shared tables are a tenant's.

Found out from the catalogue, so that a table that somebody adds is not forgotten: every table of `public`
with a column `tenant` or `tenant_id`, tables that hang on one of those by a foreign key (members of a team),
and the accounts that any of these rows or the tenant's own schema point at. What proves a sign-in, waits to
be sent, or is a log of traffic stays out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

USERS = "accounts_user"
TENANTS = "tenants_tenant"
LEFT_OUT = {
    "accounts_session", "accounts_tokenfamily", "accounts_refreshtoken", "accounts_outgoingmail",
    "api_apirequestlog", "django_admin_log", "django_migrations", "django_content_type", "auth_permission",
    "tenants_erasurerecord", "auth_group", "auth_group_permissions", "platform_systemhealth",
    "platform_idempotencykey", "transit_key",
}  # fmt: skip
"""Proofs of a sign-in, mails, logs of traffic, what Django makes by itself, keys that have to die within
minutes; the ledger travels as a file."""

KEPT_AS_THEY_ARE = {
    "log_fact", "log_party", "log_position", "log_checkpoint", "policy_blob", "policy_release",
    "roster_entry", "tenant_key", "platform_audit_event",
}  # fmt: skip
"""Histories that only grow: rows that are there win over the backup's. The log's sequence never goes back;
the intake finds what happened since the backup in it, and makes those rows anew."""


@dataclass(frozen=True, slots=True)
class Rows:
    """`where`: which rows of `table`, with %(tenant)s for the tenant and %(users)s for the accounts."""

    table: str
    where: str


@dataclass(frozen=True, slots=True)
class _Key:
    """A foreign key from one column to another table."""

    schema: str
    table: str
    column: str
    target: str


_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
"""
_TENANT_COLUMNS = """
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT a.attisdropped
AND a.attname IN ('tenant', 'tenant_id') AND a.atttypid IN ('text'::regtype, 'varchar'::regtype)
ORDER BY c.relname
"""
_KEYS = """
SELECT n.nspname, c.relname, a.attname, t.relname FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND tn.nspname = 'public' AND n.nspname = ANY(%s)
ORDER BY 1, 2, 3
"""


class Shared:
    """The shared tables, as this database has them."""

    def __init__(self, link: psycopg.Connection[Any]) -> None:
        self._link = link
        self.all = [name for (name,) in link.execute(_TABLES).fetchall() if name not in LEFT_OUT]
        columns = dict(link.execute(_TENANT_COLUMNS).fetchall())
        self._own = {name: column for name, column in columns.items() if name in self.all}
        self._keys = self._foreign(["public"])

    def _foreign(self, schemas: list[str]) -> list[_Key]:
        return [_Key(*row) for row in self._link.execute(_KEYS, [schemas]).fetchall()]

    def of_tenant(self) -> list[Rows]:
        """The tenant's rows, its own row first; accounts apart."""
        found = [Rows(TENANTS, "schema_name = %(tenant)s")]
        found += [Rows(name, f"{column} = %(tenant)s") for name, column in sorted(self._own.items())]
        known = {one.table: one.where for one in found}
        # Rows that hang on those, as deep as it goes.
        for _ in range(4):
            for key in self._keys:
                if key.target in (USERS, TENANTS) or key.table not in self.all:
                    continue
                if key.target in known and key.table not in known:
                    # Names from the catalogue of our own tables.
                    parent = f"SELECT id FROM public.{key.target} WHERE {known[key.target]}"  # noqa: S608
                    known[key.table] = f"{key.column} IN ({parent})"
                    found.append(Rows(key.table, known[key.table]))
        return found

    def of_users(self) -> list[Rows]:
        """The accounts, and what hangs on an account and on no tenant (second factors, for one)."""
        taken = {one.table for one in self.of_tenant()}
        hanging = {
            key.table: key.column
            for key in self._keys
            if key.target == USERS and key.table in self.all and key.table not in taken
            and key.table not in (USERS, "accounts_platformrole")
        }  # fmt: skip
        return [
            Rows(USERS, "id = ANY(%(users)s)"),
            *(Rows(name, f"{column} = ANY(%(users)s)") for name, column in sorted(hanging.items())),
        ]

    def of_platform(self) -> list[Rows]:
        """Everything that no tenant has."""
        taken = {one.table for one in self.of_tenant()}
        return [Rows(name, "true") for name in self.all if name not in taken]

    def needed_users(self, tenant: str) -> list[Any]:
        """Ids of the accounts that the tenant's rows point at, in `public` and in its own schema."""
        ids: set[Any] = set()
        where = {one.table: one.where for one in self.of_tenant()}
        for key in [*self._keys, *self._foreign([tenant])]:
            if key.target != USERS or (key.schema == "public" and key.table not in where):
                continue
            condition = where[key.table] if key.schema == "public" else "true"
            query = sql.SQL("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL AND ").format(
                column=sql.Identifier(key.column), table=sql.Identifier(key.schema, key.table)
            )
            text = query.as_string(self._link) + f"({condition})"
            ids.update(pk for (pk,) in self._link.execute(text.encode(), {"tenant": tenant}).fetchall())
        return sorted(ids)

    def columns(self, table: str, schema: str = "public") -> list[str]:
        """Names of the columns that can be written, in order."""
        rows = self._link.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 "
            "AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [f'{schema}."{table}"'],
        ).fetchall()
        return [name for (name,) in rows]

    def primary_key(self, table: str) -> list[str]:
        rows = self._link.execute(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
            "AND a.attnum = ANY(i.indkey) WHERE i.indrelid = to_regclass(%s) AND i.indisprimary",
            [f'public."{table}"'],
        ).fetchall()
        return [name for (name,) in rows]
