"""The emergency door: who may open it, what it lets through, and that everything under it is written down."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from tests.web.fixtures import PASSWORD, TENANTS, ApiClient
from web.shared.accounts.models import BreakGlass, PlatformRole, Session, User
from web.shared.accounts.queries import platform_codes
from web.shared.core.models import PlatformAuditEvent
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.ids import PUBLIC

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]
OPEN, AUTH, CONTACTS = "/api/platform/break-glass/", "/api/v1/auth/", "/api/v1/contacts/"
ENTER, ME, DOORS = f"{AUTH}session/break-glass/", f"{AUTH}me/", f"{AUTH}break-glass/"
MTO, ZIWA = (pk for pk, _ in TENANTS)
REASON = "Ticket 4711: Amina cannot see her cases"


@pytest.fixture
def platform(tenants):
    """`platform("support")` → (user, client on the platform's host)."""

    def make(role=PlatformRole.Role.SUPPORT):
        with public_context():
            user = User.objects.create_user(
                f"{role}{uuid.uuid4().hex[:6]}@platform.example", PASSWORD, is_platform_admin=True
            )
            PlatformRole.objects.create(user=user, role=role)
        return user, ApiClient("localhost").sign_in(user, PUBLIC)

    return make


def opened(client, **values):
    answer = client.post(OPEN, {"tenant": MTO, "reason": REASON, "minutes": 30, **values})
    assert answer.status_code == 201, answer.content
    return answer.json()


def inside(api, door):
    client = api()
    answer = client.post(ENTER, {"token": door["token"]})
    assert answer.status_code == 200, answer.content
    return client


def test_each_platform_role_has_its_codes(platform):
    support, _ = platform("support")
    admin, _ = platform("admin")
    everything, _ = platform("super_admin")
    with public_context():
        assert "platform.break_glass.open" in platform_codes(support)
        assert "platform.break_glass.admin" in platform_codes(admin) - platform_codes(support)
        assert platform_codes(admin) < platform_codes(everything)
        PlatformRole.objects.filter(user=support).update(
            permissions={"platform.break_glass.view": True, "users.manage": "all"}
        )
        assert "platform.break_glass.view" in platform_codes(support)
        assert "users.manage" not in platform_codes(support)


def test_support_enters_with_a_reason_looks_and_everything_is_written_down(platform, api, make_user):
    user, client = platform("support")
    theirs = api(make_user("admin"))
    contact = theirs.post(CONTACTS, {"first_name": "Amina"}).json()["id"]
    door = opened(client)
    assert door["state"] == "waiting" and door["enter_at"].startswith("http://mto.localhost")
    guest = inside(api, door)
    assert guest.get(f"{CONTACTS}{contact}/").status_code == 200
    assert guest.post(CONTACTS, {"first_name": "New"}).status_code == 403
    me = guest.get(ME).json()
    assert me["role"]["name"] == "platform_support" and me["user"]["id"] == str(user.pk)
    assert all(code.endswith(".view") for code in me["permissions"])
    with tenant_context(MTO):
        rows = AuditEvent.objects.filter(object_id=door["id"], actor_id=user.pk).order_by("at")
        said = [(row.action, row.actor_kind, row.changes.get("route")) for row in rows]
        event = DomainEvent.objects.get(type="breakglass.opened")
    assert said == [
        ("breakglass_open", "platform", None),
        ("breakglass_enter", "platform", None),
        ("breakglass_request", "platform", "contacts:contact-detail"),
        ("breakglass_request", "platform", "contacts:contact-list"),
        ("breakglass_request", "platform", "auth:me"),
    ]
    assert event.data == {"user": str(user.pk), "access": "support"}
    with public_context():
        platforms = PlatformAuditEvent.objects.filter(object_id=door["id"])
        assert platforms.count() == 5 and all(row.changes["tenant"] == MTO for row in platforms)
        written = str(list(platforms.values()))
    with tenant_context(MTO):
        written += str(list(AuditEvent.objects.values())) + str(list(DomainEvent.objects.values()))
    assert contact in written and "Amina" not in written and "4711" not in written


def test_the_organisation_sees_it_and_shuts_it(platform, api, make_user, tenants):
    user, client = platform("support")
    door = opened(client)
    guest, boss = inside(api, door), api(make_user("admin"))
    (shown,) = boss.get(DOORS).json()["data"]
    assert shown["reason"] == REASON and shown["opened_by"] == str(user.pk) and shown["state"] == "entered"
    assert "token" not in shown
    assert api(make_user("agent")).get(DOORS).status_code == 403
    elsewhere = api(make_user("admin", tenant=tenants[1]), tenant=tenants[1])
    assert elsewhere.get(DOORS).json()["data"] == []
    assert elsewhere.delete(f"{DOORS}{door['id']}/").status_code == 404
    assert guest.get(ME).status_code == 200
    assert boss.delete(f"{DOORS}{door['id']}/").status_code == 204
    assert guest.get(ME).status_code == 401
    with public_context():
        assert not Session.objects.filter(user=user, tenant_id=MTO).exists()
    assert boss.get(f"{DOORS}{door['id']}/").json()["state"] == "closed"
    with tenant_context(MTO):
        assert DomainEvent.objects.filter(type="breakglass.closed").count() == 1


def test_the_entry_works_once_soon_and_there_alone(platform, api, tenants):
    _, client = platform("support")
    door = opened(client)
    assert api(tenant=tenants[1]).post(ENTER, {"token": door["token"]}).status_code == 422
    inside(api, door)
    assert api().post(ENTER, {"token": door["token"]}).json()["code"] == "link_refused"
    late = opened(client)
    with public_context():
        BreakGlass.objects.filter(pk=late["id"]).update(created_at=timezone.now() - timedelta(minutes=6))
    assert api().post(ENTER, {"token": late["token"]}).json()["code"] == "link_refused"
    shut = opened(client)
    assert client.delete(f"{OPEN}{shut['id']}/").status_code == 204
    assert api().post(ENTER, {"token": shut["token"]}).json()["code"] == "link_refused"
    with public_context():
        assert not BreakGlass.objects.filter(pk=shut["id"], entry_digest__isnull=False).exists()


def test_it_ends_by_itself_and_with_the_platforms_role(platform, api):
    user, client = platform("support")
    door = opened(client, minutes=60)
    guest = inside(api, door)
    with public_context():
        left = BreakGlass.objects.get(pk=door["id"]).expires_at - timezone.now()
        assert left <= timedelta(minutes=60)
        User.objects.filter(pk=user.pk).update(is_platform_admin=False)
    assert guest.get(ME).status_code == 401
    with public_context():
        User.objects.filter(pk=user.pk).update(is_platform_admin=True)
    assert guest.get(ME).status_code == 200
    with public_context():
        BreakGlass.objects.update(expires_at=timezone.now())
    assert guest.get(ME).status_code == 401


def test_who_may_open_and_how_far(platform, api, make_user):
    _, support = platform("support")
    _, admin = platform("admin")
    body = {"tenant": MTO, "reason": REASON, "minutes": 30}
    refused = support.post(OPEN, {**body, "access": "admin"})
    assert refused.status_code == 403 and refused.json()["permission"] == "platform.break_glass.admin"
    assert support.get(OPEN).status_code == 403 and admin.get(OPEN).status_code == 200
    for wrong, pointer in (
        ({"minutes": 61}, "/minutes"),
        ({"minutes": 0}, "/minutes"),
        ({"reason": "why not"}, "/reason"),
        ({"reason": "          "}, "/reason"),
        ({"tenant": "t_nobody000000"}, "/tenant"),
        ({"access": "root"}, "/access"),
    ):
        answer = support.post(OPEN, {**body, **wrong})
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == pointer, wrong
    guest = inside(api, opened(admin, access="admin"))
    assert guest.post(CONTACTS, {"first_name": "New"}).status_code == 201
    outsider = api(make_user("admin"))
    assert outsider.post(OPEN, body).status_code == 404
    assert ApiClient("localhost").post(OPEN, body).status_code == 401


def test_it_gives_no_password_token_ticket_or_factor(platform, api):
    user, client = platform("admin")
    guest = inside(api, opened(client, access="admin"))
    for method, url, body in (
        ("post", f"{AUTH}password/", {"current_password": PASSWORD, "new_password": "another long sentence"}),
        ("post", f"{AUTH}mfa/totp/", {"current_password": PASSWORD}),
        ("get", f"{AUTH}sessions/", {}),
        ("post", f"{AUTH}tickets/", {}),
    ):
        assert getattr(guest, method)(url, body).status_code == 403, url
    right = {"email": user.email, "password": PASSWORD}
    assert api().post(f"{AUTH}session/", right).status_code == 401
    assert api().post(f"{AUTH}token/", right).status_code == 401


def test_what_cannot_be_written_down_does_not_happen(platform, api, monkeypatch):
    _, client = platform("admin")
    guest = inside(api, opened(client, access="admin"))

    def broken(*_, **__):
        raise OSError("the trail is full")

    monkeypatch.setattr("web.shared.accounts.break_glass.audit.record", broken)
    guest.raise_request_exception = False
    assert guest.post(CONTACTS, {"first_name": "New"}).status_code == 500
    monkeypatch.undo()
    assert guest.get(CONTACTS).json()["data"] == []


def test_its_session_is_nothing_on_other_hosts(platform, api):
    _, client = platform("support")
    guest = inside(api, opened(client))
    cookie = guest.cookies[django_settings.SESSION_COOKIE_NAME].value
    for host in ("ziwa.localhost", "localhost"):
        other = ApiClient(host)
        other.cookies[django_settings.SESSION_COOKIE_NAME] = cookie
        assert other.get(ME).status_code == 401


def test_opening_twice_under_one_key_opens_one(platform):
    _, client = platform("admin")
    body, key = {"tenant": MTO, "reason": REASON, "minutes": 30}, {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
    first, again = (client.post(OPEN, body, **key) for _ in range(2))
    assert first.status_code == again.status_code == 201, again.content
    assert first.json() == again.json() and len(client.get(OPEN).json()["data"]) == 1
