"""Making and migrating schemas, as the database's owner.

The template (see clone.py) is kept by whoever needs it first after a release: under a lock of the whole
deployment it is migrated to what the code has, then copied. A copy is one transaction, so a process killed
in the middle leaves either no schema or a complete one.
"""

from __future__ import annotations

from django.db import ProgrammingError, connection

from web.shared.tenants.clone import TEMPLATE, NotClonable, clone_schema
from web.shared.tenants.context import public_context
from web.shared.tenants.ids import as_tenant_id
from web.shared.tenants.migrating import bring_up
from web.shared.tenants.ownership import owner_connection, owner_lock
from web.shared.tenants.versions import schema_version

PATIENCE_SECONDS = 300.0
"""How long a creation waits for another process that migrates the template."""


def exists(schema: str) -> bool:
    with public_context(), connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [as_tenant_id(schema)])
        return bool(cursor.fetchone()[0])


def migrate(schema: str) -> None:
    """Create the schema if missing and run every migration that it lacks."""
    create(schema)
    bring_up(schema)


def create(schema: str) -> None:
    """An empty schema; nothing when it is there."""
    with owner_connection(), public_context(), connection.cursor() as cursor:
        # An id holds nothing but lower-case letters, digits and '_'.
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {as_tenant_id(schema)}")


def drop(schema: str) -> None:
    """Drop the schema with everything in it; nothing when it is not there."""
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {as_tenant_id(schema)} CASCADE")


def template_prepare() -> None:
    """Bring the template to the newest migration. NotClonable when another process keeps it too long."""
    if not schema_version(TEMPLATE).behind:
        return
    with owner_lock("template", wait_seconds=PATIENCE_SECONDS) as mine:
        if not mine:
            raise NotClonable("the template is being migrated")
        if schema_version(TEMPLATE).behind:
            migrate(TEMPLATE)


def copy_of_template(schema: str) -> None:
    """A new schema like the template; nothing when somebody else made it meanwhile. NotClonable."""
    template_prepare()
    with owner_connection():
        try:
            clone_schema(schema)
        except ProgrammingError:
            if not exists(schema):
                raise
