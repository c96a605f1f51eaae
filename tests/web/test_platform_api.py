"""The platform's host: organisations, accounts, limits, figures and health, for platform roles alone."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.fixtures import PASSWORD, ApiClient
from web.shared.accounts.models import PlatformRole, Session, TenantMembership, User
from web.shared.core.actor import system
from web.shared.core.models import PlatformAuditEvent
from web.shared.platform_admin import health, usage
from web.shared.platform_admin.models import SystemHealth, TenantUsage
from web.shared.platform_admin.tasks import provision
from web.shared.tenants import quotas, schemas, services
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.ids import PUBLIC
from web.shared.tenants.models import InboundNumber, Tenant, TenantInvitation, TenantStatus
from web.shared.tenants.quotas import QuotaExceeded, quota_check
from web.shared.tenants.services import tenant_suspend

pytestmark = [pytest.mark.database, pytest.mark.redis]
ACTOR = system("tests")
URL = "/api/platform/tenants/"


@pytest.fixture
def platform(tenants: Any) -> Any:
    """`platform("admin")` → a client signed in on the platform's host with that role."""

    def make(role: str = "super_admin") -> ApiClient:
        with public_context():
            user = User.objects.create_user(
                f"{role}{uuid.uuid4().hex[:6]}@platform.example", PASSWORD, is_platform_admin=True
            )
            if role:
                PlatformRole.objects.create(user=user, role=role)
        client = ApiClient("localhost").sign_in(user, PUBLIC)
        client.user = user  # type: ignore[attr-defined]
        return client

    return make


NEW = {
    "slug": "upendo",
    "name": "Upendo",
    "time_zone": "Africa/Kampala",
    "admin": {"email": "Boss@Upendo.example", "password": "a long enough password"},
}


@pytest.mark.django_db(transaction=True)
def test_a_tenant_is_asked_for_and_finished_by_a_worker_once(platform: Any, client: Any) -> None:
    host = platform("admin")
    key = {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
    answer = host.post(URL, NEW, **key)
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert made["status"] == "provisioning" and answer["Location"] == f"{URL}{made['id']}/"
    assert host.post(URL, NEW, **key).json() == made
    taken = host.post(URL, NEW)
    assert taken.status_code == 422 and taken.json()["errors"][0]["pointer"] == "/slug"
    try:
        assert provision(made["id"]) is True
        assert provision(made["id"]) is False
        shown = host.get(answer["Location"]).json()
        assert shown["status"] == "active" and shown["time_zone"] == "Africa/Kampala"
        assert shown["domains"][0]["domain"] == "upendo.localhost"
        signed_in = client.post(
            "/api/v1/auth/session/",
            {"email": "boss@upendo.example", "password": NEW["admin"]["password"]},  # type: ignore[index]
            content_type="application/json",
            HTTP_HOST="upendo.localhost",
        )
        assert signed_in.status_code == 200, signed_in.content
        with tenant_context(made["id"]):
            from web.tenant.reference_data.models import Priority

            assert Priority.objects.exists()
    finally:
        schemas.drop(made["id"])


@pytest.mark.django_db(transaction=True)
def test_without_a_password_the_first_administrator_is_invited_when_the_host_answers(platform: Any) -> None:
    from web.shared.accounts.models import OutgoingMail

    made = platform("admin").post(URL, NEW | {"admin": {"email": "boss@upendo.example"}}).json()
    try:
        with public_context():
            row = TenantInvitation.objects.get(tenant_id=made["id"])
            assert row.role.name == "admin" and not OutgoingMail.objects.exists()
        provision(made["id"])
        with public_context():
            assert OutgoingMail.objects.get().object_id == row.pk
    finally:
        schemas.drop(made["id"])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"slug": "Ä b"}, "/slug"),
        ({"slug": "a'; drop schema public"}, "/slug"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"host": "localhost"}, "/host"),
        ({"host": "evil host"}, "/host"),
        ({"admin": {"email": "x"}}, "/admin/email"),
        ({"admin": {"email": "a@b.example", "password": "1234567890"}}, "/admin"),
        ({"status": "active"}, "/status"),
    ],
)
def test_what_cannot_be_a_tenant_is_refused_and_leaves_nothing(
    platform: Any, changed: Any, pointer: str
) -> None:
    answer = platform("admin").post(URL, NEW | changed)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] == pointer
    with public_context():
        assert not Tenant.objects.filter(name="Upendo").exists()


@pytest.mark.django_db
def test_only_platform_roles_enter_and_only_on_the_platforms_host(
    platform: Any, tenants: Any, make_user: Any, api: Any
) -> None:
    paths = [URL, "/api/platform/users/", "/api/platform/analytics/", "/api/platform/health/"]
    for path in paths:
        assert ApiClient("localhost").get(path).status_code == 401
        assert platform("").get(path).status_code == 403
        assert platform("support").get(path).status_code == 200
        assert api(make_user("admin")).get(path).status_code == 404
    support = platform("support")
    for answer in (
        support.post(URL, NEW),
        support.post(f"{URL}{tenants[0].pk}/suspend/"),
        support.patch(f"{URL}{tenants[0].pk}/quotas/", {"users": 1}),
        platform("admin").post(f"/api/platform/users/{support.user.pk}/platform-roles/", {"role": "admin"}),
    ):
        assert answer.status_code == 403 and answer.json()["permission"].startswith("platform.")
    with public_context():
        insider = ApiClient("localhost").sign_in(make_user("admin"), PUBLIC)
    assert insider.get(URL).status_code in (401, 403)


@pytest.mark.django_db
def test_tenants_are_listed_found_changed_and_audited(platform: Any, tenants: Any) -> None:
    host = platform("admin")
    page = host.get(f"{URL}?limit=1&sort=name").json()
    assert len(page["data"]) == 1 and page["has_more"]
    assert [one["slug"] for one in host.get(f"{URL}?q=ziwa").json()["data"]] == ["ziwa"]
    assert host.get(f"{URL}?nonsense=1").status_code == 400
    at = f"{URL}{tenants[0].pk}/"
    read = host.get(at)
    assert host.patch(at, {"subscription_plan": "gold"}).status_code == 428
    done = host.patch(at, {"subscription_plan": "gold"}, HTTP_IF_MATCH=read["ETag"])
    assert done.status_code == 200 and done.json()["subscription_plan"] == "gold"
    assert host.patch(at, {"name": "x"}, HTTP_IF_MATCH=read["ETag"]).status_code == 412
    refused = host.patch(at, {"settings": {"nonsense": 1}}, HTTP_IF_MATCH=done["ETag"])
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/settings"
    with public_context():
        row = PlatformAuditEvent.objects.get(action="update", object_id=tenants[0].pk)
    assert row.changes == {"fields": ["subscription_plan"]} and row.actor_id == host.user.pk
    for unknown in ("t_nobody000000", "nonsense", "public"):
        assert host.get(f"{URL}{unknown}/").status_code == 404


@pytest.mark.django_db
def test_a_list_costs_the_same_for_two_tenants_as_for_twenty(platform: Any, tenants: Any) -> None:
    host = platform("admin")
    host.get(URL)

    def cost() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert host.get(URL).status_code == 200
        return len(seen)

    before = cost()
    for number in range(18):
        with public_context():
            services.tenant_register(actor=ACTOR, slug=f"one{number}", name=f"One {number}")
    assert cost() == before


# --- suspension -------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_suspended_tenant_answers_nobody_closes_sockets_and_comes_back(
    platform: Any, tenants: Any, make_user: Any, api: Any
) -> None:
    from asgiref.sync import async_to_sync

    from realtime import auth

    host, user = platform("admin"), make_user("agent")
    desk = api(user)
    assert desk.get("/api/v1/auth/me/").status_code == 200
    visitor = auth.Visitor(
        tenant=_card(tenants[0]),
        user=user.pk, card=_user_card(tenants[0].pk, user), session=None,
    )  # fmt: skip
    assert async_to_sync(auth.look_again)(visitor) is not None
    answer = host.post(f"{URL}{tenants[0].pk}/suspend/")
    assert answer.status_code == 200 and answer.json()["status"] == "suspended"
    assert host.post(f"{URL}{tenants[0].pk}/suspend/").status_code == 200
    refused = desk.get("/api/v1/auth/me/")
    assert refused.status_code == 403 and refused.json()["code"] == "tenant_suspended"
    again = api().post("/api/v1/auth/session/", {"email": user.email, "password": PASSWORD})
    assert again.status_code == 403 and again.json()["code"] == "tenant_suspended"
    assert async_to_sync(auth.look_again)(visitor) is None
    assert api(tenant=tenants[1]).get("/api/v1/auth/session/").status_code == 200
    lifted = host.post(f"{URL}{tenants[0].pk}/activate/")
    assert lifted.json()["status"] == "active" and lifted.json()["suspended_at"] is None
    assert desk.get("/api/v1/auth/me/").status_code == 200
    with public_context():
        acts = PlatformAuditEvent.objects.filter(object_id=tenants[0].pk).order_by("at")
        assert [one.action for one in acts] == ["suspend", "activate"]


def _card(tenant: Any) -> Any:
    from realtime.messages import TenantCard

    with public_context():
        return TenantCard(id=tenant.pk, slug=tenant.slug, name=tenant.name)


def _user_card(tenant_id: str, user: Any) -> Any:
    from realtime import auth

    with tenant_context(tenant_id):
        return auth._card(user.pk)


@pytest.mark.django_db
def test_a_tenant_that_is_being_made_is_neither_suspended_nor_activated(platform: Any) -> None:
    host = platform("admin")
    with public_context():
        row = services.tenant_register(actor=ACTOR, slug="halfway", name="Halfway")
    for verb in ("suspend", "activate"):
        answer = host.post(f"{URL}{row.pk}/{verb}/")
        assert answer.status_code == 409 and answer.json()["code"] == "still_provisioning"


@pytest.mark.django_db(transaction=True)
async def test_the_daemon_hears_of_a_suspension_from_the_real_tables(tenants: Any, tmp_path: Any) -> None:
    import asyncio
    import os

    from asgiref.sync import sync_to_async

    from telephony import sealing
    from telephony.adapters.log.published import PublishedFeed
    from telephony.ports.published import Complete, Suspended

    feed = PublishedFeed(
        os.environ["MURIMA_DATABASE_DAEMON_URL"], tmp_path / "cache",
        sealing.master_key(os.environ["MURIMA_MASTER_KEY"]),
    )  # fmt: skip
    updates = feed.updates()
    async with asyncio.timeout(30):
        while not isinstance(await anext(updates), Complete):
            pass
        await sync_to_async(tenant_suspend)(actor=ACTOR, tenant=tenants[0])
        assert await anext(updates) == Suspended(tenants=frozenset({tenants[0].pk}))
        await sync_to_async(services.tenant_activate)(actor=ACTOR, tenant=tenants[0])
        while (update := await anext(updates)) != Suspended(tenants=frozenset()):
            assert not isinstance(update, Suspended)


# --- domains, numbers, quotas -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_hosts_and_numbers_are_added_once_for_the_whole_deployment(platform: Any, tenants: Any) -> None:
    host = platform("admin")
    mine, theirs = (f"{URL}{one.pk}/" for one in tenants)
    made = host.post(f"{mine}domains/", {"domain": "Help.Mto.example"})
    assert made.status_code == 201 and made.json()["domain"] == "help.mto.example"
    assert ApiClient("help.mto.example").get("/api/v1/auth/session/").status_code == 200
    for domain in ("help.mto.example", "localhost", "a b", "x" * 70 + ".example"):
        assert host.post(f"{theirs}domains/", {"domain": domain}).status_code == 422
    assert len(host.get(f"{mine}domains/").json()["data"]) == 2
    pk = made.json()["id"]
    assert host.delete(f"{theirs}domains/{pk}/").status_code == 404
    assert host.delete(f"{mine}domains/{pk}/").status_code == 204
    first = host.get(f"{mine}domains/").json()["data"][0]["id"]
    assert host.delete(f"{mine}domains/{first}/").status_code == 422

    number = {"trunk": "carrier", "number": "+254711000099"}
    made = host.post(f"{mine}numbers/", number)
    assert made.status_code == 201, made.content
    assert host.post(f"{theirs}numbers/", number).status_code == 422
    assert host.post(f"{theirs}numbers/", number | {"number": "0711"}).status_code == 422
    assert host.delete(f"{theirs}numbers/{made.json()['id']}/").status_code == 404
    assert host.delete(f"{mine}numbers/{made.json()['id']}/").status_code == 204
    with public_context():
        assert not InboundNumber.objects.exists()
        said = str(list(PlatformAuditEvent.objects.values_list("changes", flat=True)))
    assert "711000099" not in said


@pytest.mark.django_db
def test_a_limit_is_set_asked_and_lifted(platform: Any, tenants: Any, make_user: Any) -> None:
    host, pk = platform("admin"), tenants[0].pk
    make_user("agent"), make_user("viewer")
    at = f"{URL}{pk}/quotas/"
    shown = host.patch(at, {"users": 3, "contacts": 0})
    assert shown.status_code == 200, shown.content
    by_kind = {one["kind"]: one for one in shown.json()["data"]}
    assert by_kind["users"] == {"kind": "users", "limit": 3, "used": 2}
    assert by_kind["storage_bytes"]["limit"] is None
    quota_check(pk, "users")
    with pytest.raises(QuotaExceeded) as refused:
        quota_check(pk, "users", 2)
    document = refused.value.document()
    assert (document["status"], document["code"]) == (409, "quota_exceeded")
    assert (document["quota"], document["limit"], document["used"]) == ("users", 3, 2)
    with pytest.raises(QuotaExceeded):
        quota_check(pk, "contacts")
    quota_check(tenants[1].pk, "contacts", 10**9)
    host.patch(at, {"contacts": None})
    quota_check(pk, "contacts")
    assert quotas.limit_of(pk, "contacts") is None
    assert host.patch(at, {"nonsense": 1}).status_code == 422
    assert host.patch(at, {"users": -1}).status_code == 422


# --- accounts ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_accounts_are_found_deactivated_and_let_in_again(platform: Any, tenants: Any, make_user: Any) -> None:
    host, user = platform("admin"), make_user("agent", name="Amina")
    page = host.get(f"/api/platform/users/?tenant={tenants[0].pk}").json()["data"]
    assert [one["id"] for one in page] == [str(user.pk)]
    assert page[0]["memberships"] == [{"tenant": tenants[0].pk, "role": "agent", "is_active": True}]
    assert "password" not in page[0]
    at = f"/api/platform/users/{user.pk}/"
    ApiClient("mto.localhost").sign_in(user, tenants[0].pk)
    assert host.post(f"{at}deactivate/").json()["is_active"] is False
    with public_context():
        assert not Session.objects.filter(user=user).exists()
        assert TenantMembership.objects.get(user=user).is_active
    assert host.post(f"{at}activate/").json()["is_active"] is True
    assert host.patch(at, {"name": "x"}).status_code == 405


@pytest.mark.django_db
def test_platform_roles_are_given_and_the_last_one_stays(platform: Any, make_user: Any) -> None:
    root, user = platform("super_admin"), make_user("agent")
    roles = f"/api/platform/users/{user.pk}/platform-roles/"
    assert root.post(roles, {"role": "emperor"}).status_code == 422
    given = root.post(roles, {"role": "support"}).json()
    assert given["platform_roles"] == ["support"] and given["is_platform_admin"] is True
    assert root.delete(f"{roles}admin/").status_code == 404
    assert root.delete(f"{roles}support/").status_code == 204
    assert root.get(f"/api/platform/users/{user.pk}/").json()["is_platform_admin"] is False
    mine = f"/api/platform/users/{root.user.pk}/"
    for answer in (root.delete(f"{mine}platform-roles/super_admin/"), root.post(f"{mine}deactivate/")):
        assert answer.status_code == 409 and answer.json()["code"] == "last_platform_admin"
    with public_context():
        acts = PlatformAuditEvent.objects.filter(object_id=str(user.pk), action__in=["grant", "revoke"])
        assert sorted(one.action for one in acts) == ["grant", "revoke"]


# --- figures ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_days_are_counted_once_and_told_without_anybodys_data(
    platform: Any, tenants: Any, make_user: Any, api: Any
) -> None:
    host, agent = platform("support"), api(make_user("agent"))
    made = agent.post("/api/v1/contacts/", {"first_name": "Zawadi"})
    assert made.status_code == 201
    pk = tenants[0].pk
    assert usage.refresh(pk) == 2
    assert usage.refresh(pk) == 1
    with public_context():
        rows = list(TenantUsage.objects.filter(tenant_id=pk).order_by("date"))
    assert len(rows) == 2 and rows[-1].active_users == 1 and rows[0].active_users == 0
    today = host.get(f"{URL}{pk}/usage/").json()
    assert today["today"]["active_users"] == 1 and len(today["data"]) == 2
    day = rows[-1].date.isoformat()
    figures = host.get(f"/api/platform/analytics/?from={rows[0].date}&to={day}")
    assert figures.status_code == 200, figures.content
    body = figures.json()
    assert body["totals"]["active_users"] == 1 and body["by_tenant"][0]["tenant"] == pk
    assert "Zawadi" not in figures.content.decode() and "@" not in figures.content.decode()
    assert len(host.get(f"/api/platform/analytics/usage/?tenant={pk}&date[gte]={day}").json()["data"]) == 1
    for query in ("from=x", "nonsense=1", "from=2020-01-01&to=2026-01-01", "from=2026-02-01&to=2026-01-01"):
        assert host.get(f"/api/platform/analytics/?{query}").status_code == 400


# --- health -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_health_is_looked_at_kept_a_week_and_told(platform: Any, clean_redis: Any) -> None:
    host = platform("support")
    empty = host.get("/api/platform/health/").json()
    assert empty["status"] == "critical" and empty["components"][0]["component"] == "beat_and_worker"
    with public_context():
        old = SystemHealth.objects.create(component="database", status="critical")
        SystemHealth.objects.filter(pk=old.pk).update(checked_at=timezone.now() - timedelta(days=8))
    health.look_and_record()
    found = {one["component"]: one for one in host.get("/api/platform/health/").json()["components"]}
    assert set(found) == {*health.PROBES, "beat_and_worker"}
    for component in ("database", "redis", "queue", "daemon", "intake", "beat_and_worker"):
        assert found[component]["status"] == "healthy", found[component]
    history = host.get("/api/platform/health/history/?component=database").json()["data"]
    assert len(history) == 1 and history[0]["metrics"]["connections"] >= 1


@pytest.mark.django_db
def test_a_silent_daemon_and_a_late_intake_are_seen(tenants: Any, clean_redis: Any) -> None:
    import time

    from telephony import codec
    from telephony.contract.frames import Beat
    from telephony.contract.ids import TenantId
    from web.shared.core.published import publish_policy
    from web.shared.tenants.keys import redis_key

    pk = tenants[0].pk
    publish_policy(pk, numbers=[], queues=[])
    assert health._daemon()[0] == "critical"

    def beat(age: float) -> None:
        at = int((time.time() - age) * 1_000_000)
        kind, data = codec.encode_frame(Beat(tenant=TenantId(pk), epoch=1, seq=1, at=at))
        clean_redis.xadd(redis_key(pk, "up"), {"k": kind, "d": data})

    beat(60)
    assert health._daemon()[0] == "critical"
    beat(1)
    status, metrics = health._daemon()
    assert status == "healthy" and metrics["tenants"] == 1 and metrics["silent"] == 0


@pytest.mark.django_db
def test_a_probe_that_breaks_is_critical_and_says_no_more_than_the_errors_class(
    tenants: Any, monkeypatch: Any
) -> None:
    def broken() -> Any:
        raise RuntimeError("+254711000001")

    monkeypatch.setattr(health, "PROBES", {"broken": broken})
    (probe,) = health.probes()
    assert probe.status == "critical" and probe.metrics["error"] == "RuntimeError"
    assert "254" not in str(probe.metrics["error"])


@pytest.mark.django_db
def test_a_provisioning_tenants_host_answers_nothing_of_it(tenants: Any) -> None:
    with public_context():
        services.tenant_register(actor=ACTOR, slug="halfway", name="Halfway")
        assert Tenant.objects.get(name="Halfway").status == TenantStatus.PROVISIONING
    assert ApiClient("halfway.localhost").get("/api/v1/auth/session/").status_code == 403


@pytest.mark.django_db
def test_limits_stop_the_next_person_and_the_next_file(
    platform: Any, tenants: Any, make_user: Any, api: Any
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    host, pk = platform("admin"), tenants[0].pk
    admin = api(make_user("admin"))
    host.patch(f"{URL}{pk}/quotas/", {"users": 1, "storage_bytes": 10})
    invited = admin.post("/api/v1/auth/invitations/", {"email": "new@mto.example", "role": "agent"})
    assert invited.status_code == 409 and invited.json()["code"] == "quota_exceeded", invited.content
    assert invited.json()["limit"] == 1 and invited.json()["used"] == 1
    with pytest.raises(QuotaExceeded):
        make_user("agent")
    file = SimpleUploadedFile("letter.txt", b"more than ten bytes", content_type="text/plain")
    stored = admin.post("/api/v1/documents/", {"file": file}, format="multipart")
    assert stored.status_code == 409 and stored.json()["quota"] == "storage_bytes", stored.content
    host.patch(f"{URL}{pk}/quotas/", {"users": None})
    make_user("agent")
