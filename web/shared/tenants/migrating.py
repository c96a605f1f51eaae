"""Migrating many schemas in one process.

Most of what a migration costs is not its SQL: Django computes the state of every model from every migration,
and does so again for each schema. Tenants are at the same place nearly always, so the state is computed once
for each place that is met and copied for each schema. Migrations run one by one in their own transactions and
are noted as Django notes them; a process killed in the middle leaves a schema at the last one that is done.

Only for schemas that have their table of migrations; a new one is copied or migrated by schemas.py.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from web.shared.tenants.context import tenant_context
from web.shared.tenants.grants import grant_schema
from web.shared.tenants.ids import as_tenant_id
from web.shared.tenants.ownership import owner_connection


class Migrator:
    """Keeps the states it has computed; one per run."""

    def __init__(self) -> None:
        self._states: dict[frozenset[Any], Any] = {}

    def bring_up(self, schema: str) -> int:
        """Run every migration that this schema lacks; returns how many. What one raises comes through."""
        with owner_connection(), tenant_context(as_tenant_id(schema)):
            executor = MigrationExecutor(connection)
            executor.loader.check_consistent_history(connection)
            targets = executor.loader.graph.leaf_nodes()
            plan = executor.migration_plan(targets)
            if plan:
                executor.migrate(targets, plan=plan, state=self._state(executor).clone())
            grant_schema(schema)
        return len(plan)

    def _state(self, executor: Any) -> Any:
        """The models as they are at this schema's place, with their classes."""
        place = frozenset(executor.loader.applied_migrations)
        if place not in self._states:
            state = executor._create_project_state(with_applied_migrations=True)
            assert state.apps is not None  # made on first use, and copied with the state from then on
            self._states[place] = state
        return self._states[place]
