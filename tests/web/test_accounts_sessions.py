"""Where one is signed in, and ending it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.fixtures import PASSWORD, TENANTS
from web.shared.accounts.models import Session
from web.shared.accounts.services import membership_ensure
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]
LIST, SESSION, TOKEN, ME = (f"/api/v1/auth/{name}/" for name in ("sessions", "session", "token", "me"))
MTO, ZIWA = (pk for pk, _ in TENANTS)


def sign_in(api, user, device, address="203.0.113.5", tenant=None):
    client = api(tenant=tenant)
    body = {"email": user.email, "password": PASSWORD}
    where = {"HTTP_USER_AGENT": device, "REMOTE_ADDR": address}
    assert client.post(SESSION, body, **where).status_code == 200
    return client


def token(api, user):
    body = {"email": user.email, "password": PASSWORD}
    pair = api().post(TOKEN, body, HTTP_USER_AGENT="client/1").json()
    return {"HTTP_AUTHORIZATION": f"Bearer {pair['access_token']}"}, pair


def test_the_list_shows_where_one_is_signed_in_and_nobody_else(make_user, api, tenants):
    user, other = make_user("agent"), make_user("agent")
    with public_context():
        membership_ensure(actor=system("tests"), user=user, tenant_id=ZIWA, role="agent")
    sign_in(api, user, "Elsewhere/1", tenant=tenants[1])
    sign_in(api, other, "Other/1")
    phone, desk = sign_in(api, user, "Phone/1"), sign_in(api, user, "Desk/1\x07" + "x" * 300, "192.0.2.9")
    bearer, _ = token(api, user)
    rows = desk.get(LIST).json()["data"]
    assert [(one["kind"], one["current"]) for one in rows] == [
        ("api", False), ("browser", True), ("browser", False),
    ]  # fmt: skip
    assert rows[0]["device"] == "client/1" and rows[2]["device"] == "Phone/1"
    assert rows[1]["ip_address"] == "192.0.2.9" and rows[1]["device"].startswith("Desk/1x")
    assert len(rows[1]["device"]) == 200 and all(one["created_at"] and one["last_seen_at"] for one in rows)
    with public_context():
        keys = set(Session.objects.values_list("session_key", flat=True))
    assert not any(key in str(rows) for key in keys)
    assert [one["current"] for one in api().get(LIST, **bearer).json()["data"]] == [True, False, False]
    assert [one["current"] for one in phone.get(LIST).json()["data"]] == [False, False, True]


def test_one_is_ended_and_others_of_other_people_are_not_there(make_user, api):
    user, other = make_user("agent"), make_user("agent")
    here, there, stranger = sign_in(api, user, "a"), sign_in(api, user, "b"), sign_in(api, other, "c")
    bearer, pair = token(api, user)
    rows = here.get(LIST).json()["data"]
    for row in (one for one in rows if not one["current"]):
        assert stranger.delete(f"{LIST}{row['id']}/").status_code == 404
        assert here.delete(f"{LIST}{row['id']}/").status_code == 204
        assert here.delete(f"{LIST}{row['id']}/").status_code == 404
    assert there.get(ME).status_code == 401 and api().get(ME, **bearer).status_code == 401
    again = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    assert api().post(TOKEN, again).status_code == 401
    assert here.get(ME).status_code == 200
    assert here.delete(f"{LIST}{uuid.uuid4()}/").status_code == 404
    with tenant_context(MTO):
        assert AuditEvent.objects.filter(action="end", actor_id=user.pk).count() == 2


def test_all_others_are_ended_at_once(make_user, api, tenants):
    user, other = make_user("agent"), make_user("agent")
    with public_context():
        membership_ensure(actor=system("tests"), user=user, tenant_id=ZIWA, role="agent")
    elsewhere = sign_in(api, user, "z", tenant=tenants[1])
    clients, stranger = [sign_in(api, user, str(n)) for n in range(3)], sign_in(api, other, "c")
    bearer, _ = token(api, user)
    assert clients[0].delete(LIST).status_code == 204
    assert [one.get(ME).status_code for one in clients] == [200, 401, 401]
    assert api().get(ME, **bearer).status_code == 401
    assert stranger.get(ME).status_code == 200 and elsewhere.get(ME).status_code == 200
    assert len(clients[0].get(LIST).json()["data"]) == 1


def test_a_session_is_marked_as_seen_once_a_minute(make_user, api):
    user = make_user("agent")
    client = sign_in(api, user, "a")
    client.get(ME)
    with CaptureQueriesContext(connection) as queries:
        client.get(ME)
    assert not any(one["sql"].startswith("UPDATE") for one in queries)
    earlier = timezone.now() - timedelta(minutes=5)
    with public_context():
        Session.objects.filter(user=user).update(last_seen_at=earlier)
    client.get(ME, REMOTE_ADDR="198.51.100.4")
    with public_context():
        row = Session.objects.get(user=user)
    assert (
        row.last_seen_at
        and row.last_seen_at > earlier + timedelta(minutes=4)
        and row.ip_address == "198.51.100.4"
    )
    assert client.get(LIST).json()["data"][0]["id"] == str(row.public_id)


def test_saving_a_session_keeps_its_name_in_the_list(make_user, api):
    client = sign_in(api, make_user("agent"), "a")
    before = client.get(LIST).json()["data"][0]
    assert client.post("/api/v1/auth/mfa/totp/", {"current_password": PASSWORD}).status_code == 200
    after = client.get(LIST).json()["data"][0]
    assert (before["id"], before["created_at"], before["device"]) == (
        after["id"], after["created_at"], after["device"],
    )  # fmt: skip
