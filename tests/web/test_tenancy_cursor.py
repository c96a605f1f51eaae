"""A statement carries its schema with it: one message, and nothing that happened before can move it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from web.shared.core import audit
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [pytest.mark.database]
ACTOR = system("tests")
HERE = "SELECT current_schema()"


def ask(statement: str, parameters: Any = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_path_and_statement_leave_in_one_message(tenants):
    with tenant_context(tenants[0].pk):
        said = ask("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    assert said.startswith(f'SET search_path = "{tenants[0].pk}", "public", "extensions"; SELECT query FROM')


@pytest.mark.django_db
@pytest.mark.parametrize("statement", ["SELECT 1", "(SELECT 1)", " with x as (select 1) select * from x"])
def test_what_was_asked_is_counted_once_and_shown_without_the_path(tenants, statement):
    with tenant_context(tenants[0].pk), CaptureQueriesContext(connection) as made:
        assert ask(statement) == 1
    assert [one["sql"] for one in made] == [statement]


@pytest.mark.django_db
def test_a_cursor_stays_where_it_was_made_whatever_is_set_in_between(tenants):
    first, second = (row.pk for row in tenants)
    with tenant_context(first), connection.cursor() as mine:
        mine.execute(HERE)
        assert mine.fetchone() == (first,)
        with tenant_context(second):
            assert ask(HERE) == second
        mine.execute("SET search_path = public")
        mine.execute(HERE)
        assert mine.fetchone() == (first,)
        mine.execute("EXPLAIN SELECT * FROM records_auditevent")  # not one that shares a message
        assert mine.fetchall()


@pytest.mark.django_db
def test_many_at_once_copies_and_streams_go_to_the_tenant_too(tenants):
    first, second = (row.pk for row in tenants)
    with tenant_context(first), transaction.atomic(), connection.cursor() as mine:
        with tenant_context(second):
            ask(HERE)
        mine.execute("CREATE TEMPORARY TABLE seen (at text) ON COMMIT DROP")
        mine.executemany("INSERT INTO seen SELECT current_schema() WHERE %s", [(True,), (True,)])
        with tenant_context(second):
            ask(HERE)
        with mine.copy("COPY (SELECT current_schema()) TO STDOUT") as copy:
            assert b"".join(map(bytes, copy)).strip() == str(first).encode()
        with tenant_context(second):
            ask(HERE)
        assert [row[0] for row in mine.stream(HERE)] == [first]
        mine.execute("SELECT DISTINCT at FROM seen")
        assert mine.fetchall() == [(first,)]


@pytest.mark.django_db
def test_rows_that_a_statement_touched_are_counted(tenants):
    with tenant_context(tenants[0].pk):
        for number in "12":
            audit.record(actor=ACTOR, action="canary", object_type="x", object_id=number)
        with connection.cursor() as cursor:
            cursor.execute("WITH two AS (SELECT 1 UNION SELECT 2) SELECT * FROM two")
            assert cursor.rowcount == 2 and len(cursor.fetchall()) == 2 and cursor.nextset() is None
        assert AuditEvent.objects.filter(action="canary").count() == 2


@pytest.mark.django_db
def test_a_failed_transaction_says_what_failed_and_can_be_left(tenants):
    with tenant_context(tenants[0].pk):
        with pytest.raises(DatabaseError, match="division by zero"), transaction.atomic():
            ask("SELECT 1 / 0")
        assert ask(HERE) == tenants[0].pk
        with pytest.raises(DatabaseError, match="current transaction is aborted"), transaction.atomic():
            with pytest.raises(DatabaseError), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
            connection.needs_rollback = False  # as raw code that swallows the error
            ask("SELECT 1")
        assert ask(HERE) == tenants[0].pk


@pytest.mark.django_db(transaction=True)
def test_what_may_not_run_with_others_still_runs(tenants):
    with public_context(), connection.cursor() as cursor:
        cursor.execute("VACUUM pg_catalog.pg_description")


@pytest.mark.django_db(transaction=True)
def test_rows_read_a_few_at_a_time_are_the_tenants(tenants):
    first, second = (row.pk for row in tenants)
    with tenant_context(first):
        for number in range(3):
            audit.record(actor=ACTOR, action="canary", object_type="x", object_id=str(number))
        found = AuditEvent.objects.filter(action="canary").order_by("object_id").iterator(chunk_size=1)
        seen = [next(found).object_id]
        with tenant_context(second):
            assert not AuditEvent.objects.filter(action="canary").exists()
        assert seen + [row.object_id for row in found] == ["0", "1", "2"]
