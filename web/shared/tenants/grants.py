"""What the application's and the daemon's database roles may do, table by table.

After every migration of a schema the owner grants each model's table what its class names, and nothing else:
`app_privileges` (default: SELECT, INSERT, UPDATE, DELETE) and `daemon_privileges` (default: none). A table
without a model, such as one made by SQL in a migration, gets its grants in that migration. An append-only
table names ("SELECT", "INSERT"), and then no bug of ours can rewrite history.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, models, router
from django.dispatch import receiver
from django_tenants.signals import schema_migrated

from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.ids import PUBLIC

READ_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")
APPEND_ONLY = ("SELECT", "INSERT")
READ_ONLY = ("SELECT",)
EXTENSIONS = "extensions"

# What a role may do with each table of a schema. Grants of single columns are not among it: nobody makes any.
_HELD = """
SELECT c.relname, array_agg(a.privilege_type)
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
AND a.grantee = (SELECT oid FROM pg_roles WHERE rolname = %s) GROUP BY c.relname
"""


def role_names() -> tuple[str, str, str]:
    """(owner, application, daemon), as the environment names them."""
    return (
        settings.DATABASE_OWNER["USER"],
        settings.DATABASES["default"]["USER"],
        settings.DATABASE_DAEMON["USER"],
    )


def grant_schema(schema: str) -> None:
    """Bring one schema's grants in line with the models. Runs as the owner; the caller has chosen it."""
    owner, application, daemon = role_names()
    with public_context() if schema == PUBLIC else tenant_context(schema):
        if application != owner:
            _grant(schema, application, "app_privileges", READ_WRITE)
        if schema == PUBLIC and daemon not in (owner, application):
            _grant(schema, daemon, "daemon_privileges", ())


def _grant(schema: str, role: str, attribute: str, default: tuple[str, ...]) -> None:
    """Only what differs is said, in one message: each word rewrites a row of the catalogue."""
    quote = connection.ops.quote_name
    wanted = {model._meta.db_table: set(getattr(model, attribute, default)) for model in _models_here()}
    statements = [f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}"]
    if schema == PUBLIC:
        statements.append(f"GRANT USAGE ON SCHEMA {quote(EXTENSIONS)} TO {quote(role)}")
    statements.append(f"GRANT SELECT ON {quote(schema)}.django_migrations TO {quote(role)}")
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [schema, role])
        held = {name: set(rights) for name, rights in cursor.fetchall()}
        for name, rights in sorted(wanted.items()):
            if held.get(name, set()) != rights:
                table = f"{quote(schema)}.{quote(name)}"
                statements.append(f"REVOKE ALL ON {table} FROM {quote(role)}")
                if rights:
                    statements.append(f"GRANT {', '.join(sorted(rights))} ON {table} TO {quote(role)}")
        cursor.execute(";\n".join(statements))


def _models_here() -> list[type[models.Model]]:
    """Models whose tables belong to the schema chosen now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        present = {row[0] for row in cursor.fetchall()}
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and model._meta.db_table in present
        and router.allow_migrate_model("default", model)
    ]


@receiver(schema_migrated)
def _after_migration(schema_name: str, **_: Any) -> None:
    # After `migrate app zero` there may be no schema left to speak of; grants follow what is present.
    grant_schema(schema_name)
