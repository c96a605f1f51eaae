"""A cloned schema is the same as a migrated one, to the last index and grant."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from deployment.dev import tools
from web.shared.records.models import AuditEvent
from web.shared.tenants import schemas
from web.shared.tenants.clone import TEMPLATE, NotClonable, clone_schema
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.ownership import owner_connection

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

MIGRATED, CLONED = "t_migrated0000", "t_cloned000000"


@pytest.fixture
def both(tenants: Any) -> Any:
    schemas.migrate(MIGRATED)
    schemas.copy_of_template(CLONED)
    yield
    for name in (MIGRATED, CLONED):
        schemas.drop(name)


def dump(schema: str) -> list[str]:
    """pg_dump's statements with the schema's name taken out, in an order of their own."""
    owner = settings.DATABASE_OWNER
    said = subprocess.run(
        [tools.postgres() / "pg_dump", "--schema-only", f"--schema={schema}", "-h", owner["HOST"],
         "-p", str(owner["PORT"]), "-U", owner["USER"], owner["NAME"]],
        env={"PGPASSWORD": owner["PASSWORD"]}, capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    text = "\n".join(
        line for line in said.replace(schema, "SCHEMA").splitlines() if not line.startswith(("--", "\\"))
    )
    # Columns' order within a table is part of what is compared; the order of statements is not.
    return sorted(_one_way(re.sub(r"\s+", " ", one).strip()) for one in text.split(";\n"))


def _one_way(statement: str) -> str:
    """`x IN ('a', 'b')` over varchar is told in two ways that mean the same; see clone.py."""
    if "ARRAY[" not in statement:
        return statement
    return re.sub(r"::character varying|::text(\[\])?|[()]", "", statement)


def rows(schema: str) -> dict[str, list[Any]]:
    """What migrations put into the tables, the moment of each migration apart."""
    found = {}
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", [schema])
        for (table,) in cursor.fetchall():
            columns = "app, name" if table == "django_migrations" else "*"
            cursor.execute(f'SELECT {columns} FROM {schema}."{table}"')
            found[table] = sorted(map(str, cursor.fetchall()))
    return found


def test_a_clone_equals_a_migrated_schema(both: Any) -> None:
    migrated, cloned = dump(MIGRATED), dump(CLONED)
    assert len(migrated) > 50 and [one for one in migrated if one not in cloned] == []
    assert cloned == migrated
    assert rows(CLONED).keys() == rows(MIGRATED).keys()
    assert rows(CLONED)["django_migrations"] == rows(MIGRATED)["django_migrations"]


def test_a_clone_can_be_migrated_and_written_as_the_application(both: Any) -> None:
    from web.shared.core import audit
    from web.shared.core.actor import system

    schemas.migrate(CLONED)
    with tenant_context(CLONED):
        row = audit.record(actor=system("tests"), action="canary", object_type="x", object_id="1")
        assert AuditEvent.objects.filter(pk=row.pk).exists()
    with tenant_context(MIGRATED):
        assert not AuditEvent.objects.filter(pk=row.pk).exists()


def test_serial_columns_functions_and_triggers_are_copied_and_do_not_point_back(tenants: Any) -> None:
    schemas.template_prepare()
    made = [
        f"CREATE TABLE {TEMPLATE}.extra (id serial PRIMARY KEY, words text DEFAULT 'x', at timestamptz)",
        f"INSERT INTO {TEMPLATE}.extra (words) VALUES ('a'), ('b')",
        f"CREATE FUNCTION {TEMPLATE}.stamp() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.at := now(); RETURN NEW; END $$",
        f"CREATE TRIGGER stamps BEFORE INSERT ON {TEMPLATE}.extra FOR EACH ROW "
        f"EXECUTE FUNCTION {TEMPLATE}.stamp()",
    ]
    try:
        with owner_connection(), public_context(), connection.cursor() as cursor:
            for one in made:
                cursor.execute(one)
        schemas.copy_of_template(CLONED)
        assert dump(CLONED) == dump(TEMPLATE)
        with owner_connection(), public_context(), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {CLONED}.extra (words) VALUES ('c') RETURNING id, at IS NOT NULL")
            assert cursor.fetchone() == (3, True)
            cursor.execute(f"CREATE VIEW {TEMPLATE}.glance AS SELECT id FROM {TEMPLATE}.extra")
            with pytest.raises(NotClonable, match="glance"):
                clone_schema(MIGRATED)
            assert not schemas.exists(MIGRATED)
    finally:
        schemas.drop(CLONED)
        schemas.drop(TEMPLATE)
