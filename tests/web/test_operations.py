"""What operators do: make a tenant, migrate all, look at the whole; and what migrations may not do."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.db import connection, migrations, models
from django.utils import timezone

from config.env import BASE
from manage import main
from tests.web.fixtures import PASSWORD, TENANTS
from web.shared.accounts.models import Session, TenantMembership, User
from web.shared.core import housekeeping
from web.shared.core.exits import Code, Exit
from web.shared.core.middleware import request_frame
from web.shared.core.migration_checks import contracting_operations, migrations_expand_before_they_contract
from web.shared.core.tasks import tenant_task
from web.shared.platform_admin import doctor
from web.shared.records.models import IdempotencyKey
from web.shared.tenants.context import current_tenant_id, public_context, tenant_context
from web.shared.tenants.grants import role_names
from web.shared.tenants.models import Tenant
from web.shared.tenants.ownership import owner_connection, owner_lock
from web.shared.tenants.schemas import template_prepare
from web.shared.tenants.versions import tenant_versions

pytestmark = [pytest.mark.database]
MTO, ZIWA = (pk for pk, _ in TENANTS)


def run(*arguments: str) -> list[dict[str, Any]]:
    out = io.StringIO()
    call_command(*arguments, "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


# --- tenants -----------------------------------------------------------------------------------------------


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
def test_a_tenant_is_made_whole_and_making_it_again_changes_nothing(tenants, client, clean_redis):
    (made,) = run(
        "tenant_create",
        "tumaini",
        "--name",
        "Tumaini",
        "--admin",
        "a@tumaini.example",
        "--password",
        PASSWORD,
    )
    try:
        assert run("tenant_create", "tumaini", "--admin", "a@tumaini.example")[0]["id"] == made["id"]
        with public_context():
            assert Tenant.objects.filter(domains__slug="tumaini").count() == 1
            assert TenantMembership.objects.get(tenant_id=made["id"]).role.name == "admin"
        answer = client.post(
            "/api/v1/auth/session/",
            {"email": "a@tumaini.example", "password": PASSWORD},
            content_type="application/json",
            HTTP_HOST="tumaini.localhost",
        )
        assert answer.status_code == 200
        assert tenant_versions("tumaini")[0].behind == []
    finally:
        drop(made["id"])


def drop(schema: str) -> None:
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["Ä b", "a'; drop schema public", "a-", "a" * 41, ""])
def test_a_bad_slug_is_refused_as_usage(tenants, slug):
    with pytest.raises(Exit) as refused:
        call_command("tenant_create", slug)
    assert refused.value.code is Code.USAGE


@pytest.mark.django_db(transaction=True)
def test_migrating_goes_on_after_a_failure_and_resumes_where_it_stopped(tenants, monkeypatch):
    """Both tenants are set back by one app; the first attempt fails for one of them."""
    template_prepare()
    for pk in (MTO, ZIWA):
        with owner_connection(), public_context(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename LIKE 'notifications%%'",
                [pk],
            )
            for (table,) in cursor.fetchall():
                cursor.execute(f'DROP TABLE {pk}."{table}" CASCADE')
            cursor.execute(f"DELETE FROM {pk}.django_migrations WHERE app = 'notifications'")
            if pk == MTO:
                # In the way of what the migration makes.
                cursor.execute(f"CREATE TABLE {pk}.notifications_notification (id int)")
    behind = {one["id"]: one["behind"] for one in run("tenant_migrate", "--status") if one["id"] != "public"}
    assert behind[MTO] == behind[ZIWA] and behind[MTO][0] == "notifications.0001_initial"
    with pytest.raises(Exit, match=MTO):
        run("tenant_migrate")
    assert tenant_versions(MTO)[0].behind and not tenant_versions(ZIWA)[0].behind
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {MTO}.notifications_notification")
    states = {one["id"]: one["state"] for one in run("tenant_migrate")}
    assert states == {MTO: "migrated", ZIWA: "current"}
    assert not tenant_versions(MTO)[0].behind


@pytest.mark.django_db(transaction=True)
def test_only_one_migrates_at_a_time_and_an_unknown_tenant_is_not_found(tenants):
    with owner_lock("tenant_migrate") as mine:
        assert mine
        with pytest.raises(Exit, match="Another"):
            call_command("tenant_migrate")
    with pytest.raises(Exit) as unknown:
        call_command("tenant_migrate", "--tenant", "nobody")
    assert unknown.value.code is Code.NOT_FOUND


@pytest.mark.django_db
def test_the_daemon_may_read_numbers_and_nothing_of_tenants(tenants):
    _, application, daemon = role_names()
    assert application != daemon
    with public_context(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege(%s, 'inbound_number', 'SELECT'),"
            " has_table_privilege(%s, 'inbound_number', 'INSERT'),"
            " has_table_privilege(%s, 'accounts_user', 'SELECT'), has_schema_privilege(%s, %s, 'USAGE')",
            [daemon, daemon, daemon, daemon, MTO],
        )
        assert cursor.fetchone() == (True, False, False, False)


# --- migrations expand before they contract ----------------------------------------------------------------


def sentences(*operations: Any, contract: bool = False, nullable: bool = True) -> list[str]:
    migration = migrations.Migration("0002_x", "calls")
    migration.operations = list(operations)  # type: ignore[misc]
    migration.contract = contract  # type: ignore[attr-defined]
    return list(contracting_operations(migration, lambda model, field: nullable))


def test_what_the_last_release_would_not_survive_is_refused_unless_marked():
    text = models.CharField(max_length=5)
    harmful = [
        migrations.RemoveField("call", "x"),
        migrations.RenameField("call", "x", "y"),
        migrations.DeleteModel("Call"),
        migrations.RenameModel("Call", "Talk"),
        migrations.AddField("call", "x", text),
        migrations.AddField("call", "x", models.CharField(max_length=5, default="")),
        migrations.AlterField("call", "x", text),
    ]
    for operation in harmful:
        assert len(sentences(operation)) == 1, operation
        assert sentences(operation, contract=True) == []
    harmless = [
        migrations.AddField("call", "x", models.CharField(max_length=5, null=True)),
        migrations.AddField("call", "x", models.CharField(max_length=5, default="", db_default="")),
        migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("new", "x", text),
        migrations.AddIndex("call", models.Index(fields=["x"], name="x")),
    ]
    assert sentences(*harmless) == []
    assert sentences(migrations.AlterField("call", "x", text), nullable=False) == []


def test_the_committed_migrations_only_expand_and_are_complete():
    assert migrations_expand_before_they_contract(None) == []


# --- commands and doctor -----------------------------------------------------------------------------------


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
def test_doctor_finds_servers_roles_and_schemas_well(tenants):
    states = {one.check: one.state for one in doctor.examine()}
    for check in ("configuration", "postgresql application", "postgresql owner", "postgresql daemon",
                  "migrations", "tenancy", "redis"):  # fmt: skip
        assert states[check] == "ok", check


@pytest.mark.django_db(transaction=True)
def test_doctor_names_a_lost_server_with_the_next_step_and_exits_5(tenants, settings):
    settings.ARI_URL = "http://127.0.0.1:1"
    out = io.StringIO()
    with pytest.raises(Exit) as told:
        call_command("doctor", "--json", stdout=out)
    assert told.value.code is Code.DEPENDENCY
    (finding,) = [one for one in map(json.loads, out.getvalue().splitlines()) if one["check"] == "asterisk"]
    assert (
        finding["state"] == "failure" and finding["dependency"] and "MURIMA_ARI_URL" in finding["next_step"]
    )


@pytest.mark.django_db(transaction=True)
def test_exit_codes_of_commands(tenants, capsys):
    assert main(["manage.py", "tenant_migrate", "--tenant", "nobody"]) == Code.NOT_FOUND
    told = capsys.readouterr().err
    assert told.startswith("Error: No tenant") and "Traceback" not in told
    assert main(["manage.py", "tenant_migrate", "--status"]) == Code.OK


def test_a_lost_database_is_exit_code_5():
    environment = {
        **os.environ,
        "MURIMA_DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/nothing",
        "MURIMA_DATABASE_POOL": "0",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "tenant_migrate", "--status"],
        cwd=BASE, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == Code.DEPENDENCY and "Traceback" not in done.stderr


def test_production_does_not_start_without_its_secrets():
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings.prod"],
        cwd=BASE, env={**environment, "MURIMA_ENV": "production"}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and "MURIMA_SECRET_KEY is not set" in done.stderr


def test_productions_cookies_belong_to_one_host_and_its_check_is_content():
    secrets = dict.fromkeys(("MURIMA_SECRET_KEY", "MURIMA_ASK_KEY"), "c" * 50 + "anary1234567")
    program = (
        "import django, json; from django.conf import settings as s; django.setup();"
        "print(json.dumps({n: getattr(s, n) for n in dir(s) if 'COOKIE' in n and n.isupper()}, default=str))"
    )
    environment = {**os.environ, **secrets, "MURIMA_ENV": "production",
                   "DJANGO_SETTINGS_MODULE": "config.settings.prod"}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], cwd=BASE, env=environment, capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    for kind in ("SESSION", "CSRF"):
        assert said[f"{kind}_COOKIE_NAME"].startswith("__Host-") and said[f"{kind}_COOKIE_SECURE"] is True
        assert said[f"{kind}_COOKIE_DOMAIN"] is None and said[f"{kind}_COOKIE_PATH"] == "/"
        assert said[f"{kind}_COOKIE_SAMESITE"] in ("Lax", "Strict")
    assert said["SESSION_COOKIE_HTTPONLY"] is True


# --- tasks -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_task_runs_in_the_tenant_it_was_told_and_refuses_any_other_word(tenants):
    @tenant_task(name="tests.where")
    def where(tenant_id: str) -> str | None:
        return current_tenant_id()

    for pk in (MTO, ZIWA, MTO):
        assert where(pk) == pk
    for strange in ("public", "mto", ""):
        with pytest.raises(ValueError):
            where(strange)
    assert current_tenant_id() is None


@pytest.mark.django_db
def test_housekeeping_forgets_what_has_had_its_day(tenants):
    old, user = timezone.now() - timedelta(hours=25), User.objects
    with tenant_context(MTO):
        for key, at in (("old", old), ("new", timezone.now())):
            row = IdempotencyKey.objects.create(owner="x", key=key, fingerprint=b"", status=201, body=b"")
            IdempotencyKey.objects.filter(pk=row.pk).update(created_at=at)
    with public_context():
        person = user.create_user("old@example.org")
        for key, ends in (("a" * 32, old), ("b" * 32, timezone.now() + timedelta(hours=1))):
            Session.objects.create(session_key=key, session_data="", expire_date=ends, user=person)
    assert housekeeping.of_tenant(MTO) == 1 and housekeeping.of_tenant(ZIWA) == 0
    housekeeping.shared_tables()
    with tenant_context(MTO):
        assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]
        assert [row.session_key for row in Session.objects.all()] == ["b" * 32]


# --- connections -------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
async def test_clients_that_leave_early_cost_no_connection(tenants):
    """More requests than the pool has connections, each abandoned as soon as its answer begins."""
    application = get_asgi_application()

    def talk(path: str) -> ApplicationCommunicator:
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": path, "query_string": b"",
            "headers": [(b"host", b"mto.localhost")], "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80), "scheme": "http",
        }  # fmt: skip
        return ApplicationCommunicator(application, scope)

    for _ in range(24):
        one = talk("/api/v1/auth/me/")
        await one.send_input({"type": "http.request", "body": b""})
        assert (await one.receive_output(timeout=20))["status"] == 401
        one.stop(exceptions=False)
    last = talk("/api/v1/auth/me/")
    await last.send_input({"type": "http.request", "body": b""})
    assert (await last.receive_output(timeout=20))["status"] == 401
    await last.wait(timeout=20)


@pytest.mark.django_db(transaction=True)
async def test_a_failing_request_gives_its_connection_back_too(tenants, rf):
    def explode(request):
        with public_context():
            Tenant.objects.count()
        raise RuntimeError

    frame = request_frame(explode)
    for _ in range(20):
        with pytest.raises(RuntimeError):
            await sync_to_async(frame, thread_sensitive=False)(rf.get("/"))


# --- the browser application -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_every_other_path_is_the_browser_application_and_missing_files_are_404(
    tenants, api, settings, tmp_path
):
    settings.UI_ROOT = tmp_path
    client = api()
    assert client.get("/desk", HTTP_ACCEPT="text/html").status_code == 503
    (tmp_path / "index.html").write_text("<!doctype html><title>Murima</title>")
    for path in ("/", "/desk", "/contacts/1"):
        answer = client.get(path, HTTP_ACCEPT="text/html,*/*")
        assert answer.status_code == 200 and b"".join(answer.streaming_content).startswith(b"<!doctype html>")
        assert answer["Cache-Control"] == "no-cache" and settings.CSRF_COOKIE_NAME in answer.cookies
    assert client.get("/assets/missing.js", HTTP_ACCEPT="*/*").status_code == 404
    assert client.post("/desk", {}).status_code in (403, 405)
