"""Tenancy fails closed: no query without a tenant, no tenant from outside, no row of another."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.apps import apps
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.db import ProgrammingError, connection, transaction
from django.test import override_settings

from config.env import BASE
from tests.web.fixtures import TENANTS, ApiClient
from web.shared.accounts.models import User
from web.shared.core import audit
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent, IdempotencyKey
from web.shared.tenants.backend.base import DatabaseWrapper, SchemaNotChosen
from web.shared.tenants.context import current_tenant_id, public_context, tenant_context, tenant_db
from web.shared.tenants.ids import is_tenant_id, new_tenant_id
from web.shared.tenants.keys import cache_key, redis_key
from web.shared.tenants.models import Domain, Tenant, TenantStatus
from web.shared.tenants.ownership import owner_connection
from web.shared.tenants.services import host_of, schema_prepare

pytestmark = [pytest.mark.database]
ACTOR = system("tests")


def current_schema() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return cursor.fetchone()[0]


# --- nothing chosen ----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_connection_starts_with_no_schema_and_refuses_every_statement(tenants):
    with pytest.raises(SchemaNotChosen, match="tenant_context"):
        User.objects.count()
    with pytest.raises(SchemaNotChosen), connection.cursor():
        pass
    fresh = DatabaseWrapper(connection.settings_dict, alias="default")
    assert fresh.schema_name is None and fresh.tenant is None


@pytest.mark.django_db(transaction=True)
def test_a_new_thread_knows_no_tenant_even_while_another_has_one(tenants):
    seen: list[BaseException | int] = []

    def work() -> None:
        try:
            seen.append(User.objects.count())
        except SchemaNotChosen as problem:
            seen.append(problem)
        finally:
            connection.close()

    with tenant_context(tenants[0].pk):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
    assert len(seen) == 1 and isinstance(seen[0], SchemaNotChosen)


@pytest.mark.django_db
def test_contexts_nest_and_put_back_what_was_before_also_after_an_error(tenants):
    first, second = (row.pk for row in tenants)
    assert current_tenant_id() is None
    with tenant_context(first):
        with public_context():
            assert current_schema() == "public"
            with pytest.raises(RuntimeError), tenant_context(second):
                assert current_schema() == second
                raise RuntimeError
            assert current_schema() == "public"
        assert current_schema() == first == current_tenant_id()
    with pytest.raises(SchemaNotChosen):
        current_schema()


@pytest.mark.django_db
def test_a_lazy_queryset_raises_once_outside(tenants):
    with tenant_context(tenants[0].pk):
        rows = AuditEvent.objects.all()
    with pytest.raises(SchemaNotChosen):
        list(rows)


# --- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "amani",
        "t_short",
        "T_ABCDEFGHIJKL",
        "t_abcdefghijkl\n",
        'a";drop schema x',
        "pg_catalog",
        "",
        "t_äbcdefghijk",
    ],
)
def test_only_generated_names_can_be_chosen(name):
    assert not is_tenant_id(name)
    with pytest.raises(ValueError):
        tenant_context(name)
    with pytest.raises(ValueError):
        connection.set_schema(name)  # type: ignore[attr-defined]
    with pytest.raises(ValueError):
        redis_key(name, "x")


def test_new_ids_have_the_form_and_differ():
    made = {new_tenant_id() for _ in range(1000)}
    assert len(made) == 1000 and all(is_tenant_id(one) for one in made)


def test_keys_carry_their_tenant_and_refuse_strange_parts():
    pk = TENANTS[0][0]
    assert redis_key(pk, "up") == f"murima:{pk}:up"
    for part in ("a:b", "a\nb", "", "a b"):
        with pytest.raises(ValueError):
            redis_key(pk, part)
    with pytest.raises(RuntimeError):
        cache_key("x", "", 1)
    with tenant_context(pk):
        assert cache_key("x", "", 1) == f"murima:{pk}:cache:1:x"


# --- checks ------------------------------------------------------------------------------------------------


def errors_of(**changed: object) -> set[str]:
    with override_settings(**changed):
        return {one.id for one in run_checks(tags=["security"]) if one.id and one.id.startswith("murima")}


def test_checks_refuse_what_would_open_tenancy():
    assert errors_of() == set()
    assert "murima.E001" in errors_of(TENANT_APPS=[*settings.TENANT_APPS, "web.shared.core"])
    assert "murima.E002" in errors_of(TENANT_APPS=[*settings.TENANT_APPS, "django.contrib.contenttypes"])
    assert "murima.E003" in errors_of(TENANT_LIMIT_SET_CALLS=True)


@pytest.mark.django_db(transaction=True)
def test_no_tenant_table_is_in_public_and_one_put_there_is_found(tenants):
    assert run_checks(tags=["database"], databases=["default"]) == []
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.records_auditevent (id int)")
    try:
        found = [one.id for one in run_checks(tags=["database"], databases=["default"])]
    finally:
        with owner_connection(), public_context(), connection.cursor() as cursor:
            cursor.execute("DROP TABLE public.records_auditevent")
    assert found == ["murima.E005"]


def test_with_tenant_is_refused():
    with pytest.raises(TypeError), Tenant(name="x"):
        pass


# --- rows --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_rows_of_one_tenant_are_not_seen_by_the_other_nor_by_public(tenants):
    first, second = (row.pk for row in tenants)
    with tenant_context(first):
        audit.record(actor=ACTOR, action="canary", object_type="x", object_id="1")
    with tenant_context(second):
        assert not AuditEvent.objects.filter(action="canary").exists()
    with public_context(), pytest.raises(ProgrammingError), transaction.atomic():
        AuditEvent.objects.count()


@pytest.mark.django_db
def test_a_savepoints_rollback_does_not_move_the_search_path(tenants):
    first, second = (row.pk for row in tenants)
    with tenant_context(first), transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic(), tenant_context(second):
            assert current_schema() == second
            raise RuntimeError
        assert current_schema() == first
        with tenant_context(second):
            assert current_schema() == second
        assert current_schema() == first


@pytest.mark.django_db(transaction=True)
def test_a_dropped_schema_gives_errors_and_never_rows(tenants):
    with public_context():
        doomed = Tenant.objects.create(name="Doomed", status=TenantStatus.ACTIVE)
    schema_prepare(doomed)
    with tenant_context(doomed.pk):
        audit.record(actor=ACTOR, action="canary", object_type="x", object_id="1")
    with owner_connection(), public_context(), connection.cursor() as cursor:
        cursor.execute(f'DROP SCHEMA "{doomed.pk}" CASCADE')
    for model in (m for name in settings.TENANT_APPS for m in _models(name)):
        with tenant_context(doomed.pk), pytest.raises(ProgrammingError):
            model._base_manager.count()


def _models(app: str):
    return next(config for config in apps.get_app_configs() if config.name == app).get_models()


@pytest.mark.django_db(transaction=True)
def test_the_applications_role_cannot_change_tables_or_history(tenants):
    with tenant_context(tenants[0].pk):
        row = audit.record(actor=ACTOR, action="canary", object_type="x", object_id="1")
        for statement in (
            f"UPDATE records_auditevent SET action = 'x' WHERE id = '{row.pk}'",
            "DELETE FROM records_auditevent",
            "TRUNCATE records_auditevent",
            "DROP TABLE records_auditevent",
            "CREATE TABLE mine (id int)",
            "UPDATE platform_audit_event SET action = 'x'",
            "DELETE FROM django_migrations",
        ):
            with (
                pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
                connection.cursor() as c,
            ):
                c.execute(statement)
        assert AuditEvent.objects.get(pk=row.pk).action == "canary"
        assert bytes(AuditEvent.objects.get(pk=row.pk).content_hash) == audit.content_hash(row)
        IdempotencyKey.objects.all().delete()


# --- hosts -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "host",
    [
        "nobody.localhost",
        "mto.localhost.evil.example",
        "mto.localhost,ziwa.localhost",
        "mto.localhost/..",
        "a b",
        "[::",
    ],
)
def test_an_unknown_or_malformed_host_is_404_as_a_problem(tenants, client, host):
    answer = client.get("/api/v1/auth/session/", HTTP_HOST=host, HTTP_X_FORWARDED_HOST="mto.localhost")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json" and answer.json()["code"] == "not_found"


@pytest.mark.django_db
def test_a_host_is_known_in_any_case_and_port_and_a_suspended_tenant_is_refused(tenants, api):
    client = api()
    for host in ("MTO.localhost", "mto.localhost:8000", "mto.localhost."):
        assert client.get("/api/v1/auth/session/", HTTP_HOST=host).status_code == 200
    with public_context():
        Tenant.objects.filter(pk=tenants[0].pk).update(status=TenantStatus.SUSPENDED)
    answer = client.get("/api/v1/auth/session/")
    assert answer.status_code == 403 and answer.json()["code"] == "tenant_suspended"


@pytest.mark.django_db
def test_the_platforms_host_has_the_admin_and_a_tenants_has_not(tenants, client, api):
    assert client.get("/admin/login/", HTTP_HOST="localhost").status_code == 200
    assert client.get("/admin/login/", HTTP_HOST="mto.localhost").status_code == 404
    assert client.get("/api/v1/contacts/", HTTP_HOST="localhost").status_code == 404


@pytest.mark.django_db
def test_a_slug_leads_to_one_tenant(tenants):
    with public_context(), pytest.raises(Exception, match="one_tenant_per_slug"), transaction.atomic():
        Domain.objects.create(tenant=tenants[1], domain="other.localhost", slug="mto", is_primary=True)


# --- lint --------------------------------------------------------------------------------------------------


def test_nothing_outside_the_tenants_package_chooses_schemas_by_other_means():
    banned = (
        "schema_context(",
        "set_schema(",
        "set_tenant(",
        "set_schema_to_public(",
        "django_tenants.utils",
    )
    found = [
        f"{path.relative_to(BASE)}: {word}"
        for folder in ("web", "realtime", "config")
        for path in (BASE / folder).rglob("*.py")
        if "web/shared/tenants/" not in str(path) and "node_modules" not in str(path)
        for word in banned
        if word in path.read_text(encoding="utf-8")
    ]
    assert found == [], "use tenant_context, public_context or tenant_db of web.shared.tenants.context"


# --- two hundred at once -----------------------------------------------------------------------------------


def _canaries(tenant_id: str) -> list[str]:
    return sorted(set(AuditEvent.objects.filter(action="canary").values_list("object_id", flat=True)))


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_two_hundred_mixed_operations_at_once_leak_nothing(tenants, make_user_async):
    """HTTP through ASGI and the async helper, both tenants interleaved, canary rows in each."""
    application = get_asgi_application()
    pks = [row.pk for row in tenants]
    for pk in pks:
        await tenant_db(pk, _plant, pk)
    cookies = {pk: await make_user_async(row) for pk, row in zip(pks, tenants, strict=True)}

    async def over_http(pk: str, slug: str) -> tuple[str, str]:
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": "/api/v1/auth/me/",
            "headers": [(b"host", f"{slug}.localhost".encode()), (b"cookie", cookies[pk].encode())],
            "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http",
        }  # fmt: skip
        talk = ApplicationCommunicator(application, scope)
        await talk.send_input({"type": "http.request", "body": b""})
        start = await talk.receive_output(timeout=60)
        body = await talk.receive_output(timeout=60)
        await talk.wait(timeout=60)
        answer = json.loads(body["body"])
        assert start["status"] == 200, answer
        return pk, answer["tenant"]["id"]

    async def over_helper(pk: str) -> tuple[str, str]:
        found = await tenant_db(pk, _canaries, pk)
        return pk, ",".join(found)

    jobs = []
    for number in range(200):
        pk, slug = TENANTS[number % 2]
        jobs.append(over_http(pk, slug) if number % 4 < 2 else over_helper(pk))
    results = await asyncio.gather(*jobs)
    assert len(results) == 200
    assert [one for one in results if one[0] != one[1]] == []


def _plant(pk: str) -> None:
    audit.record(actor=ACTOR, action="canary", object_type="x", object_id=pk)


@pytest.fixture
async def make_user_async(make_user):
    def make(tenant) -> str:
        user = make_user("agent", tenant=tenant)
        client = ApiClient(host_of("x")).sign_in(user, tenant.pk)
        name = settings.SESSION_COOKIE_NAME
        return f"{name}={client.cookies[name].value}"

    return sync_to_async(make)


def test_threads_that_nest_contexts_always_see_their_own(django_db_setup):
    def work(pk: str) -> int:
        wrong = 0
        for _ in range(5_000):
            with tenant_context(pk), public_context(), tenant_context(pk):
                wrong += current_tenant_id() != pk
            wrong += current_tenant_id() is not None
        return wrong

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, [TENANTS[n % 2][0] for n in range(4)])) == [0, 0, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_a_model_has_one_content_type_whoever_asks_first(tenants):
    """Django remembers content types for the whole process: they must be the same in every tenant."""
    from django.contrib.contenttypes.models import ContentType

    models = [model for model in apps.get_models() if model._meta.managed]

    def ids(tenant_id: str) -> list[int]:
        try:
            with tenant_context(tenant_id):
                return [found.pk for found in ContentType.objects.get_for_models(*models).values()]
        finally:
            connection.close()

    ContentType.objects.clear_cache()
    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(ids, [tenants[n % 2].pk for n in range(200)]))
    assert len(set(map(tuple, map(sorted, told)))) == 1 and len(set(told[0])) == len(models)
    with public_context(), connection.cursor() as cursor:
        cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'django_content_type'")
        assert cursor.fetchall() == [("public",)]


@pytest.mark.django_db
def test_no_query_is_compiled_before_it_is_answered(tenant):
    """Half a second for a page of fifty, once the planner expects that all of a large tenant is wanted."""
    with tenant_context(tenant.pk), connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)
