"""Making tenants: each step once, whatever was killed when; many schemas migrated, resumed after a kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from config.env import BASE
from tests.web.test_tenants_clone import dump
from web.shared.accounts import onboarding
from web.shared.core import audit
from web.shared.core.actor import Actor, system
from web.shared.core.exits import Exit
from web.shared.records.models import AuditEvent
from web.shared.tenants import provisioning, schemas
from web.shared.tenants.clone import TEMPLATE
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import ProvisioningStep, Tenant, TenantStatus
from web.shared.tenants.ownership import owner_connection
from web.shared.tenants.versions import tenant_versions

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.redis]
ACTOR = system("tests")


@pytest.fixture
def steps(monkeypatch: Any) -> dict[str, Any]:
    """No app's own steps."""
    empty: dict[str, Any] = {}
    monkeypatch.setattr(provisioning, "steps", empty)
    return empty


def note(name: str) -> Any:
    def run(actor: Actor) -> None:
        audit.record(actor=actor, action=name, object_type="x", object_id="1")

    return run


def noted(tenant_id: str) -> list[str]:
    with tenant_context(tenant_id):
        rows = AuditEvent.objects.filter(object_type="x").order_by("at", "id")
        return list(rows.values_list("action", flat=True))


def test_steps_run_once_in_order_and_those_of_a_later_release_too(tenants: Any, steps: Any) -> None:
    pk = tenants[0].pk
    provisioning.step("first", note("first"))
    provisioning.step("second", note("second"))
    assert provisioning.pending(pk) == ["first", "second"]
    assert provisioning.provision(pk, ACTOR) == 2 and provisioning.provision(pk, ACTOR) == 0
    provisioning.step("third", note("third"))
    call_command("tenant_migrate", stdout=io.StringIO())
    assert noted(pk) == ["first", "second", "third"]
    with pytest.raises(ValueError, match="two"):
        provisioning.step("first", note("other"))


def test_a_step_that_fails_leaves_nothing_and_is_done_the_next_time(tenants: Any, steps: Any) -> None:
    pk = tenants[0].pk
    provisioning.step("first", note("first"))

    def half(actor: Actor) -> None:
        audit.record(actor=actor, action="half", object_type="x", object_id="1")
        raise RuntimeError("killed")

    steps["second"] = half
    with pytest.raises(RuntimeError):
        provisioning.provision(pk, ACTOR)
    assert noted(pk) == ["first"] and provisioning.pending(pk) == ["second"]
    steps["second"] = note("second")
    assert provisioning.provision(pk, ACTOR) == 1 and noted(pk) == ["first", "second"]
    with public_context():
        assert ProvisioningStep.objects.filter(tenant_id=pk).count() == 2


def test_a_tenant_left_half_made_is_finished_with_the_same_slug(tenants: Any, monkeypatch: Any) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(onboarding, "provision", killed)
        with pytest.raises(KeyboardInterrupt):
            onboarding.tenant_create(actor=ACTOR, slug="kazi", name="Kazi")
    with public_context():
        row = Tenant.objects.get(name="Kazi")
    assert row.status == TenantStatus.PROVISIONING and schemas.exists(row.pk)
    try:
        again = onboarding.tenant_create(actor=ACTOR, slug="kazi", name="Kazi")
        assert again.pk == row.pk and again.status == TenantStatus.ACTIVE
        assert not provisioning.pending(row.pk)
    finally:
        schemas.drop(row.pk)


def manage(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(BASE / "manage.py"), *arguments], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def killed_after(process: subprocess.Popen[str], state: str) -> None:
    """Kill -9 as soon as the first schema is in this state."""
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["state"] == state:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def resumed() -> dict[str, str]:
    """tenant_migrate, once the killed one's lock is gone; schema → state."""
    for _ in range(200):
        process = manage("tenant_migrate", "--json")
        said, _ = process.communicate(timeout=110)
        if said or process.returncode == 0:
            assert process.returncode == 0
            return {one["id"]: one["state"] for one in map(json.loads, said.splitlines())}
    raise AssertionError("the lock of a dead process was never given back")


@pytest.mark.timeout(300)
def test_many_schemas_are_made_and_migrated_and_a_kill_costs_only_time(tenants: Any) -> None:
    made = []
    with public_context():
        for number in range(4):
            made.append(Tenant.objects.create(name=f"Many {number}", status=TenantStatus.ACTIVE).pk)
    try:
        killed_after(manage("tenant_migrate", "--json"), "migrated")
        missing = [one.id for one in tenant_versions() if one.behind]
        assert 0 < len(missing) < 4
        # A schema is there wholly or not at all.
        assert all(not schemas.exists(pk) for pk in missing)
        states = resumed()
        assert {pk for pk, state in states.items() if state == "migrated"} == set(missing)
        assert [one.id for one in tenant_versions() if one.behind] == []

        # Set back by one app, whose migrations then really run, one schema after the other.
        for pk in made:
            set_back(pk, "notifications")
        assert {one.id for one in tenant_versions() if one.behind} == set(made)
        killed_after(manage("tenant_migrate", "--json"), "migrated")
        assert 0 < len([one for one in tenant_versions() if one.behind]) < 4
        resumed()
        assert [one.id for one in tenant_versions() if one.behind] == []
        schemas.template_prepare()
        wanted = set(dump(TEMPLATE))
        assert {pk: set(dump(pk)) ^ wanted for pk in made} == {pk: set() for pk in made}
    finally:
        for pk in made:
            schemas.drop(pk)


def set_back(schema: str, app: str) -> None:
    """As if this app had never been migrated here."""
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename LIKE %s",
            [schema, f"{app}\\_%"],
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'DROP TABLE {schema}."{table}" CASCADE')
        cursor.execute(f"DELETE FROM {schema}.django_migrations WHERE app = %s", [app])


def test_a_template_that_cannot_be_copied_is_not(tenants: Any, monkeypatch: Any) -> None:
    """What the copy does not know is migrated instead, and said."""
    from web.shared.tenants import services
    from web.shared.tenants.clone import NotClonable

    called: list[str] = []
    monkeypatch.setattr(schemas, "migrate", called.append)

    def refuse(schema: str) -> None:
        raise NotClonable("a view")

    monkeypatch.setattr(schemas, "copy_of_template", refuse)
    with public_context():
        row = Tenant.objects.create(name="Doomed")
    services.schema_prepare(row)
    assert called == [row.pk]


def test_the_slug_must_be_one(tenants: Any, tmp_path: Path) -> None:
    with pytest.raises(Exit):
        call_command("tenant_create", "Ä b")


def test_tenants_are_listed_suspended_and_activated_from_the_shell(tenants: Any) -> None:
    def run(*arguments: str) -> list[dict[str, str]]:
        out = io.StringIO()
        call_command(*arguments, "--json", stdout=out)
        return [json.loads(line) for line in out.getvalue().splitlines()]

    assert [one["slug"] for one in run("tenant_list")] == ["mto", "ziwa"]
    assert run("tenant_suspend", "mto") == [{"id": tenants[0].pk, "status": "suspended"}]
    assert [one["status"] for one in run("tenant_list")] == ["suspended", "active"]
    assert run("tenant_activate", tenants[0].pk) == [{"id": tenants[0].pk, "status": "active"}]
    with pytest.raises(Exit) as unknown:
        run("tenant_suspend", "nobody")
    assert unknown.value.code == 3
