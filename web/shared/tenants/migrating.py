"""Running migrations: Django's executor, with states that are computed once (see states.py).

Every way to migrate comes here: `migrate_schemas` for public, `bring_up` for a tenant's schema and for the
template. Migrations run one by one, each in a transaction together with the note that it ran, so a process
killed in the middle leaves a schema at the last one that is done and the next run goes on from there.
(Django makes the note after the transaction when a migration leaves SQL for its end.)

Faked migrations and going backwards are Django's own, unchanged.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from django.core.management.commands import migrate
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from web.shared.tenants.context import tenant_context
from web.shared.tenants.grants import grant_schema
from web.shared.tenants.ids import as_tenant_id
from web.shared.tenants.ownership import owner_connection
from web.shared.tenants.states import NarrowState, state_at, steps_of


class Executor(MigrationExecutor):
    """Django's, with the graph of migrations read once per process and each schema's history of its own."""

    _read: MigrationLoader | None = None

    def __init__(self, connection: Any, progress_callback: Any = None) -> None:
        self.connection = connection
        self.recorder = MigrationRecorder(connection)
        self.progress_callback = progress_callback
        if Executor._read is None or Executor._read.replacements:
            # What replaces others is in the graph or not by what has been applied.
            self.loader = Executor._read = MigrationLoader(connection)
        else:
            self.loader = copy.copy(Executor._read)
            self.loader.connection = connection
            self.loader.applied_migrations = self.recorder.applied_migrations()  # type: ignore[assignment]

    def _create_project_state(self, with_applied_migrations: bool = False) -> Any:
        def compute() -> Any:
            return super(Executor, self)._create_project_state(  # type: ignore[misc]
                with_applied_migrations=True
            )

        if not with_applied_migrations:
            return super()._create_project_state()  # type: ignore[misc]
        return state_at(frozenset(self.loader.applied_migrations), compute)

    def apply_migration(
        self, state: Any, migration: Any, fake: bool = False, fake_initial: bool = False
    ) -> Any:
        if fake or fake_initial or not isinstance(state, NarrowState):
            return super().apply_migration(state, migration, fake=fake, fake_initial=fake_initial)
        self._progress("apply_start", migration)
        steps, after = steps_of(migration, state)
        with self._transaction(migration.atomic):
            with self.connection.schema_editor(atomic=migration.atomic) as editor:
                for step in steps:
                    with self._transaction(not migration.atomic and step.operation.atomic):
                        step.operation.database_forwards(migration.app_label, editor, step.before, step.after)
            self.record_migration(migration)  # type: ignore[call-arg]
        self._progress("apply_success", migration)
        return after.fork()  # its own: Django puts classes of apps without migrations into the last one

    def _transaction(self, wanted: bool) -> contextlib.AbstractContextManager[Any]:
        return transaction.atomic(self.connection.alias) if wanted else contextlib.nullcontext()

    def _progress(self, what: str, migration: Any) -> None:
        if self.progress_callback:
            self.progress_callback(what, migration, False)


class Command(migrate.Command):
    """What django_tenants runs inside each schema (TENANT_BASE_MIGRATE_COMMAND)."""

    def handle(self, *args: Any, **options: Any) -> Any:
        # The command names its executor in its module and asks nobody for another.
        theirs = migrate.MigrationExecutor  # type: ignore[attr-defined]
        migrate.MigrationExecutor = Executor  # type: ignore[attr-defined]
        try:
            return super().handle(*args, **options)
        finally:
            migrate.MigrationExecutor = theirs  # type: ignore[attr-defined]


def bring_up(schema: str) -> int:
    """Run every migration that this schema lacks; returns how many. What one raises comes through.

    The schema is there, with or without tables. No signals are sent: what listens to them (content types,
    permissions) lives in public.
    """
    wrapper: Any = connection
    with owner_connection(), tenant_context(as_tenant_id(schema)):
        # With public behind it the schema would seem to have public's table of migrations.
        wrapper.set_schema(schema, include_public=False)
        MigrationRecorder(connection).ensure_schema()
        wrapper.set_schema(schema)
        executor = Executor(connection)
        executor.loader.check_consistent_history(connection)
        targets = executor.loader.graph.leaf_nodes()
        plan = executor.migration_plan(targets)
        if plan:
            executor.migrate(targets, plan=plan)
        _let_go_of_shared(schema)
        grant_schema(schema)
    return len(plan)


_SHARED = """
SELECT format('ALTER TABLE %%s ', k.conrelid::regclass)
  || string_agg(format('DROP CONSTRAINT %%I', k.conname), ', ')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid
WHERE k.contype = 'f' AND k.connamespace = %s::regnamespace AND c.relnamespace = 'public'::regnamespace
GROUP BY k.conrelid
"""


def _let_go_of_shared(schema: str) -> None:
    """Drop what an older release left of constraints to shared tables; see backend/editor.py."""
    with connection.cursor() as cursor:
        cursor.execute(_SHARED, [schema])
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
