"""A new schema copied from a template, object by object, in one transaction.

Running every migration of every app takes many seconds; copying what they made takes less than one. The
template is a schema like a tenant's that belongs to nobody: it is migrated when the code has migrations that
it lacks, and never holds anything but what migrations put there. Definitions come from PostgreSQL's own
deparser, read with an empty search path so that every name is qualified; putting the new schema's name in
the template's place is then safe, because the template's name occurs nowhere else. (A deparsed `IN (...)`
over varchar is parsed into another tree than the one it came from, with the same meaning and plans.)

What this copy does not know (views, rules, row security, types, partitions) makes it refuse: `NotClonable`,
and the caller migrates instead. A test holds a clone against a migrated schema by pg_dump.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connection, transaction

from web.shared.tenants.context import public_context
from web.shared.tenants.ids import as_tenant_id

TEMPLATE = "t_000template0"


class NotClonable(Exception):
    """The template holds a kind of thing that cannot be copied; its message names it."""


_STRANGE = """
SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
  AND (relkind NOT IN ('r', 'S', 'i', 't') OR relrowsecurity OR relispartition)
UNION ALL SELECT 'type ' || typname FROM pg_type t WHERE typnamespace = %(schema)s::regnamespace
  AND typtype <> 'b' AND NOT (typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid
  AND c.relkind IN ('r', 'S', 'v')))
UNION ALL SELECT 'inheritance of ' || inhrelid::regclass::text FROM pg_inherits JOIN pg_class c
  ON c.oid = inhrelid WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r'
UNION ALL SELECT 'rule ' || rulename FROM pg_rules WHERE schemaname = %(schema)s
"""

_TABLES = """
SELECT oid, relname, COALESCE(array_to_string(reloptions, ', '), '') FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r' ORDER BY relname
"""

_FUNCTIONS = """
SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
AND prokind IN ('f', 'p') ORDER BY oid
"""

# Sequences that are no identity column's: made by hand or by an old `serial`.
_SEQUENCES = """
SELECT c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache,
  s.seqcycle,
  (SELECT format('%%I.%%I', r.relname, a.attname) FROM pg_depend d JOIN pg_class r ON r.oid = d.refobjid
   JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.refobjsubid
   WHERE d.objid = c.oid AND d.deptype = 'a' AND d.classid = 'pg_class'::regclass)
FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid
WHERE c.relnamespace = %(schema)s::regnamespace AND NOT EXISTS (
  SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass)
ORDER BY c.relname
"""

_DEFAULTS = """
SELECT c.relname, a.attname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
JOIN pg_class c ON c.oid = d.adrelid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE c.relnamespace = %(schema)s::regnamespace AND a.attgenerated = '' ORDER BY c.relname, a.attnum
"""

_CONSTRAINTS = """
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
WHERE k.connamespace = %(schema)s::regnamespace AND k.contype = ANY(%(kinds)s) ORDER BY c.relname, k.conname
"""

_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = %(schema)s::regnamespace
AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname
"""

_STATISTICS = (
    "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxnamespace = %(schema)s::regnamespace"
)

_TRIGGERS = """
SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal ORDER BY c.relname, t.tgname
"""

_COLUMNS = """
SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r' GROUP BY c.relname ORDER BY c.relname
"""

# Everything that somebody other than the owner may do, on the schema, its tables and its sequences.
_GRANTS = """
SELECT 'SCHEMA', nspname, a.privilege_type, a.grantee::regrole::text, a.grantee
FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = %(schema)s AND a.grantee <> n.nspowner
UNION ALL
SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname, a.privilege_type,
  a.grantee::regrole::text, a.grantee
FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = %(schema)s::regnamespace
AND c.relkind IN ('r', 'S') AND a.grantee <> c.relowner ORDER BY 1, 2, 4, 3
"""

_POSITIONS = """
SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = %(schema)s AND last_value IS NOT NULL
"""


def clone_schema(target: str) -> None:
    """Make schema `target` like the template, rows included. Runs as the owner. NotClonable; and
    ProgrammingError when the schema is there already. All or nothing."""
    target = as_tenant_id(target)
    with public_context(), transaction.atomic(), connection.cursor() as cursor:
        # Nothing on the path: the deparser then qualifies every name outside pg_catalog.
        cursor.execute("SELECT set_config('search_path', 'pg_catalog', true)")
        statements = list(_statements(cursor, target))
        # One message for all: a thousand small ones would take longer than their work.
        cursor.execute(";\n".join(statements))


def _statements(cursor: Any, target: str) -> Iterator[str]:
    def rows(query: str, **more: Any) -> list[tuple[Any, ...]]:
        cursor.execute(query, {"schema": TEMPLATE, **more})
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def moved(text: str) -> str:
        return text.replace(TEMPLATE, target)

    strange = rows(_STRANGE)
    if strange:
        raise NotClonable(str(strange[0][0]))
    quote = connection.ops.quote_name
    yield f"CREATE SCHEMA {target}"
    for (definition,) in rows(_FUNCTIONS):
        yield moved(definition)
    for name, kind, start, step, most, least, cache, cycles, _ in rows(_SEQUENCES):
        yield (
            f"CREATE SEQUENCE {target}.{quote(name)} AS {kind} START {start} INCREMENT {step} "
            f"MAXVALUE {most} MINVALUE {least} CACHE {cache} {'CYCLE' if cycles else 'NO CYCLE'}"
        )
    for _, name, options in rows(_TABLES):
        yield (
            f"CREATE TABLE {target}.{quote(name)} (LIKE {TEMPLATE}.{quote(name)} INCLUDING CONSTRAINTS "
            "INCLUDING GENERATED INCLUDING IDENTITY INCLUDING STORAGE INCLUDING COMPRESSION "
            "INCLUDING COMMENTS)" + (f" WITH ({options})" if options else "")
        )
    for name, *_, owner in rows(_SEQUENCES):
        if owner:
            yield f"ALTER SEQUENCE {target}.{quote(name)} OWNED BY {target}.{owner}"
    for table, column, expression in rows(_DEFAULTS):
        default = f"ALTER COLUMN {quote(column)} SET DEFAULT {moved(expression)}"
        yield f"ALTER TABLE {target}.{quote(table)} {default}"
    for table, columns in rows(_COLUMNS):
        yield (
            f"INSERT INTO {target}.{quote(table)} ({columns}) OVERRIDING SYSTEM VALUE "  # noqa: S608 - quoted
            f"SELECT {columns} FROM {TEMPLATE}.{quote(table)}"
        )
    for name, value in rows(_POSITIONS):
        yield f"SELECT setval('{target}.{quote(name)}', {value})"

    def constraints(*kinds: str) -> Iterator[str]:
        # One statement for each table: every ALTER makes PostgreSQL read the table's definition again.
        for table, found in groupby(rows(_CONSTRAINTS, kinds=list(kinds)), key=itemgetter(0)):
            added = ", ".join(f"ADD CONSTRAINT {quote(name)} {moved(text)}" for _, name, text in found)
            yield f"ALTER TABLE {target}.{quote(table)} {added}"

    yield from constraints("p", "u", "x")
    for query in (_INDEXES, _STATISTICS, _TRIGGERS):
        for (definition,) in rows(query):
            yield moved(definition)
    for kind, name, privilege, role, grantee in rows(_GRANTS):
        thing = target if kind == "SCHEMA" else f"{target}.{quote(name)}"
        yield f"GRANT {privilege} ON {kind} {thing} TO {role if grantee else 'PUBLIC'}"
    # Last, because they lock the shared tables that they point at.
    yield from constraints("f")


def grants_like_template(target: str) -> None:
    """Give others in `target` what they have in the template, on everything that both have. As the owner."""
    target, quote = as_tenant_id(target), connection.ops.quote_name
    with public_context(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s)", [target])
        present = {name for (name,) in cursor.fetchall()}
        cursor.execute(_GRANTS, {"schema": TEMPLATE})
        for kind, name, privilege, role, grantee in cursor.fetchall():
            if kind == "SCHEMA" or name in present:
                thing = target if kind == "SCHEMA" else f"{target}.{quote(name)}"
                cursor.execute(f"GRANT {privilege} ON {kind} {thing} TO {role if grantee else 'PUBLIC'}")
