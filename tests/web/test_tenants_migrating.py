"""Migrations run with states computed once: the same tables as Django's own way, whole after every kill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.web.test_tenants_clone import dump, rows
from tests.web.test_tenants_provisioning import set_back
from web.shared.tenants import schemas, states
from web.shared.tenants.clone import TEMPLATE
from web.shared.tenants.context import public_context
from web.shared.tenants.migrating import Executor, bring_up
from web.shared.tenants.ownership import owner_connection
from web.shared.tenants.versions import schema_version

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

OURS, THEIRS = "t_ours00000000", "t_theirs000000"


@pytest.fixture
def dropped(tenants: Any) -> Iterator[None]:
    """Schemas that a test makes are gone afterwards."""
    yield
    for name in (OURS, THEIRS):
        schemas.drop(name)


@pytest.mark.timeout(300)
def test_the_tables_are_those_that_djangos_own_executor_makes(dropped: None, settings: Any) -> None:
    schemas.migrate(OURS)
    settings.TENANT_BASE_MIGRATE_COMMAND = "django.core.management.commands.migrate.Command"
    schemas.create(THEIRS)
    with owner_connection(), public_context():
        call_command("migrate_schemas", tenant=True, schema_name=THEIRS, interactive=False, verbosity=0)
    ours, theirs = dump(OURS), dump(THEIRS)
    assert len(theirs) > 50 and ours == theirs
    assert rows(OURS)["django_migrations"] == rows(THEIRS)["django_migrations"]


def test_a_migration_and_its_note_are_there_together_or_not_at_all(dropped: None, monkeypatch: Any) -> None:
    """notifications.0001 leaves SQL for its end, after which Django would note it in another transaction."""
    schemas.copy_of_template(OURS)
    set_back(OURS, "notifications")
    before = dump(OURS)

    def killed(self: Any, migration: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Executor, "record_migration", killed)
        with pytest.raises(KeyboardInterrupt):
            bring_up(OURS)
    assert dump(OURS) == before
    assert bring_up(OURS) == 1
    assert dump(OURS) == dump(TEMPLATE) and not schema_version(OURS).behind
    assert bring_up(OURS) == 0


def test_states_are_computed_once_for_all_schemas_at_one_place(dropped: None, monkeypatch: Any) -> None:
    for name in (OURS, THEIRS):
        schemas.copy_of_template(name)
        set_back(name, "notifications")
    monkeypatch.setattr(states, "_states", {})
    monkeypatch.setattr(states, "_steps", {})
    computed: list[str] = []
    real = states._step

    def step(app: str, *rest: Any) -> Any:
        computed.append(app)
        return real(app, *rest)

    monkeypatch.setattr(states, "_step", step)
    assert bring_up(OURS) == 1 and set(computed) == {"notifications"}
    computed.clear()
    assert bring_up(THEIRS) == 1 and computed == []
    assert dump(OURS) == dump(THEIRS)


LEADING_OUT = """
SELECT k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid
WHERE k.contype = 'f' AND k.connamespace = %s::regnamespace AND c.relnamespace = 'public'::regnamespace
"""


def test_a_tenant_adds_nothing_to_a_shared_table(dropped: None) -> None:
    """Each constraint would be two triggers at the table of people, for each tenant."""
    schemas.copy_of_template(OURS)
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute(LEADING_OUT, [OURS])
        assert cursor.fetchall() == []
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.accounts_user'::regclass")
        before = cursor.fetchone()
        # As a schema of an older release has them.
        cursor.execute(
            f"ALTER TABLE {OURS}.cases_case ADD CONSTRAINT old_one FOREIGN KEY (created_by_id)"
            " REFERENCES public.accounts_user (id)"
        )
    assert bring_up(OURS) == 0
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute(LEADING_OUT, [OURS])
        assert cursor.fetchall() == []
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.accounts_user'::regclass")
        assert cursor.fetchone() == before
