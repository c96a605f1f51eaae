"""API keys: shown once, scoped, ended; what they may never do; and the log of what they asked."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.api_cases import ResourceCases
from web.shared.accounts import tokens
from web.shared.api import request_log
from web.shared.api.models import APIKey, APIRequestLog
from web.shared.records.models import AuditEvent
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis]
URL = "/api/v1/api-keys/"
CONTACTS = "/api/v1/contacts/"


@pytest.fixture
def make_key(make_user, api):
    """`make_key("contacts.view", ...)` → (client that comes with the key, the answer that made it)."""

    def make(*scopes: str, tenant: Any = None, **values: Any) -> tuple[Any, dict[str, Any]]:
        boss = api(make_user("admin", tenant=tenant), tenant=tenant)
        answer = boss.post(URL, {"name": "Robot", "scopes": list(scopes), **values})
        assert answer.status_code == 201, answer.content
        made = answer.json()
        return bearer(api(tenant=tenant), made["key"]), made

    return make


def bearer(client: Any, text: str) -> Any:
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


class TestKeys(ResourceCases):
    url = URL
    created = {"name": "Robot", "scopes": ["contacts.view"]}
    updated = {"name": "Another name", "rate_limit": 5}
    refused = {"scopes": []}
    may_edit = may_view = may_delete = "admin"
    may_not = "supervisor"
    sorts = ("created_at", "-created_at", "name", "-name")

    def test_create_answers_201_with_location_and_is_audited(self) -> None:
        client = self.client("admin")
        answer = client.post(self.url, self.created)
        made = answer.json()
        key = made.pop("key")
        assert re.fullmatch(r"mrk_live_[A-Za-z0-9]{8}_[A-Za-z0-9]{32}", key)
        assert key.startswith(made["prefix"] + "_")
        assert answer["Location"] == self.at(made["id"]) and self.audited("create", made["id"]) == 1
        assert client.get(answer["Location"]).json() == made
        assert key not in client.get(self.url).content.decode()


def test_nowhere_in_the_database_is_the_key_itself(tenant, make_key):
    _, made = make_key("contacts.view")
    secret = made["key"].rpartition("_")[2]
    with connection.cursor() as cursor:
        for schema in ("public", tenant.pk):
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
            for (table,) in cursor.fetchall():
                cursor.execute("SELECT has_table_privilege(%s, 'SELECT')", [f'{schema}."{table}"'])
                if cursor.fetchone()[0]:
                    cursor.execute(
                        f'SELECT count(*) FROM {schema}."{table}" t WHERE t::text LIKE %s', [f"%{secret}%"]
                    )
                    assert cursor.fetchone()[0] == 0, table


def test_a_key_does_what_it_is_for_and_is_refused_the_rest_by_name(tenant, make_key):
    client, made = make_key("contacts.view", "contacts.edit")
    answer = client.post(CONTACTS, {"first_name": "Amina"})
    assert answer.status_code == 201, answer.content
    assert client.get(answer["Location"]).status_code == 200
    refused = client.delete(answer["Location"], HTTP_IF_MATCH="*")
    assert refused.status_code == 403 and refused.json()["permission"] == "contacts.delete"
    assert client.get("/api/v1/calls/").json()["permission"] == "calls.view"
    row = AuditEvent.objects.get(action="create", object_type="contacts.contact")
    assert row.actor_kind == "api_key" and str(row.actor_id) == made["id"]
    from web.tenant.contacts.models import Contact

    assert Contact.objects.get().created_by_id is None


def test_a_post_with_an_idempotency_key_belongs_to_the_key_that_sent_it(tenant, make_key):
    one, _ = make_key("contacts.view", "contacts.edit")
    other, _ = make_key("contacts.view", "contacts.edit")
    header = {"HTTP_IDEMPOTENCY_KEY": "same"}
    first = one.post(CONTACTS, {"first_name": "A"}, **header)
    assert one.post(CONTACTS, {"first_name": "A"}, **header).json() == first.json()
    assert other.post(CONTACTS, {"first_name": "A"}, **header).json()["id"] != first.json()["id"]


def test_nobody_gives_a_key_what_they_do_not_hold(tenant, make_user, api, make_key):
    from web.shared.accounts.models import TenantMembership, TenantRole

    user = make_user("admin")
    with public_context():
        role = TenantRole.objects.create(
            tenant=tenant, name="keys", display_name="Keys",
            permissions={"apikeys.manage": "all", "contacts.view": "all", "calls.view": "own"},
        )  # fmt: skip
        TenantMembership.objects.filter(user=user).update(role=role)
    client = api(user)
    assert client.post(URL, {"name": "A", "scopes": ["contacts.view"]}).status_code == 201
    for code in ("contacts.edit", "calls.view"):
        answer = client.post(URL, {"name": "A", "scopes": ["contacts.view", code]})
        assert answer.status_code == 403 and answer.json()["permission"] == code
    _, wide = make_key("contacts.view", "contacts.edit")
    where = f"{URL}{wide['id']}/"
    assert client.patch(where, {"scopes": ["contacts.edit"]}, HTTP_IF_MATCH="*").status_code == 200
    answer = client.patch(where, {"scopes": ["contacts.delete"]}, HTTP_IF_MATCH="*")
    assert answer.status_code == 403 and answer.json()["permission"] == "contacts.delete"


@pytest.mark.parametrize("code", ["apikeys.manage", "users.manage", "nonsense", "-anyone", "-member"])
def test_no_key_can_have_what_would_let_it_grow(tenant, make_user, api, code):
    answer = api(make_user("admin")).post(URL, {"name": "A", "scopes": [code]})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["code"] == "unknown_scope"
    assert not APIKey.all_objects.exists()


def test_a_key_makes_no_keys_even_when_its_row_says_so(tenant, make_key):
    client, made = make_key("contacts.view")
    APIKey.objects.filter(pk=made["id"]).update(permissions={"apikeys.manage": "all", "contacts.view": "all"})
    for answer in (client.get(URL), client.post(URL, {"name": "B", "scopes": ["contacts.view"]})):
        assert answer.status_code == 403 and answer.json()["permission"] == "apikeys.manage"
    assert APIKey.all_objects.count() == 1


def test_a_key_is_no_person(tenant, make_key):
    client, _ = make_key("contacts.view")
    answer = client.post("/api/v1/auth/tickets/")
    assert answer.status_code == 403


@pytest.mark.parametrize("ending", ["revoked", "paused", "expired", "deleted row"])
def test_an_ended_key_is_a_bad_token_at_once(tenant, make_key, make_user, api, ending):
    client, made = make_key("contacts.view")
    assert client.get(CONTACTS).status_code == 200
    boss, where = api(make_user("admin")), f"{URL}{made['id']}/"
    if ending == "revoked":
        assert boss.delete(where, HTTP_IF_MATCH="*").status_code == 204
        assert boss.get(where).status_code == 404
    elif ending == "paused":
        assert boss.patch(where, {"is_active": False}, HTTP_IF_MATCH="*").status_code == 200
    elif ending == "expired":
        APIKey.objects.filter(pk=made["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        APIKey.objects.filter(pk=made["id"]).delete()
    answer = client.get(CONTACTS)
    assert answer.status_code == 401 and answer.json()["code"] == "bad_token"


def test_a_key_is_good_on_its_tenants_host_alone(tenants, make_key, api):
    _, made = make_key("contacts.view")
    for text in (
        made["key"],
        made["key"][:-1] + "x",
        "mrk_",
        "mrk_live_aaaaaaaa_" + "a" * 32,
        made["prefix"],
    ):
        assert bearer(api(tenant=tenants[1]), text).get(CONTACTS).status_code == 401
    platform = bearer(api(), made["key"])
    answer = platform.get("/api/v1/auth/me/", HTTP_HOST="localhost")
    assert answer.status_code == 401


def test_networks_bind_a_key(tenant, make_key, settings):
    client, _ = make_key("contacts.view", networks=["192.0.2.0/24", "2001:db8::/32"])
    assert client.get(CONTACTS).status_code == 403
    assert client.get(CONTACTS, REMOTE_ADDR="192.0.2.77").status_code == 200
    assert client.get(CONTACTS, REMOTE_ADDR="2001:db8::1").status_code == 200
    forged = client.get(CONTACTS, REMOTE_ADDR="198.51.100.1", HTTP_X_FORWARDED_FOR="192.0.2.77")
    assert forged.status_code == 403
    settings.TRUSTED_PROXIES = ["198.51.100.1"]
    behind = client.get(CONTACTS, REMOTE_ADDR="198.51.100.1", HTTP_X_FORWARDED_FOR="192.0.2.77")
    assert behind.status_code == 200


@pytest.mark.parametrize(
    "values",
    [{"networks": ["nonsense"]}, {"networks": "0.0.0.0/0"}, {"expires_at": "2020-01-01T00:00:00Z"},
     {"rate_limit": 0}, {"key": "mine"}, {"prefix": "x"}, {"permissions": {"a": "all"}}, {"tenant": "t_x"}],
)  # fmt: skip
def test_strange_values_are_refused(tenant, make_user, api, values):
    answer = api(make_user("admin")).post(URL, {"name": "A", "scopes": ["contacts.view"], **values})
    assert answer.status_code == 422, answer.content


def test_the_last_use_is_noted_at_most_once_a_minute(tenant, make_key):
    client, _ = make_key("contacts.view")
    assert client.get(CONTACTS).status_code == 200
    used = APIKey.objects.get().last_used
    assert used is not None
    with CaptureQueriesContext(connection) as said:
        client.get(CONTACTS)
    assert not [one for one in said if one["sql"].startswith("UPDATE")]
    assert APIKey.objects.get().last_used == used and APIKey.objects.get().revision == 1
    APIKey.objects.update(last_used=used - timedelta(minutes=2))
    client.get(CONTACTS)
    noted = APIKey.objects.get().last_used
    assert noted is not None and noted > used - timedelta(minutes=1)


def test_requests_with_keys_and_tokens_are_logged_by_route_and_sessions_are_not(
    tenant, make_key, make_user, api
):
    client, made = make_key("contacts.view")
    request_log._waiting.clear()
    client.get(f"{CONTACTS}?q=0712345678")
    client.get(f"{CONTACTS}01900000-0000-7000-8000-000000000000/")
    user = make_user("agent")
    with public_context():
        pair = tokens.issue(user, tenant.pk)
    bearer(api(), pair.access_token).delete(CONTACTS)
    api(user).get(CONTACTS)
    api().get(CONTACTS)
    with CaptureQueriesContext(connection) as said:
        assert request_log.flush() == 3
    assert len([one for one in said if one["sql"].startswith("INSERT")]) == 1
    rows = list(APIRequestLog.objects.order_by("created_at"))
    assert [(row.endpoint, row.method, row.status_code) for row in rows] == [
        ("contacts:contact-list", "GET", 200),
        ("contacts:contact-detail", "GET", 404),
        ("contacts:contact-list", "DELETE", 405),
    ]
    assert [row.user_id for row in rows] == [None, None, user.pk]
    assert str(rows[0].api_key_id) == made["id"] and rows[2].api_key_id is None
    assert all(row.tenant_id == tenant.pk and row.response_time > timedelta(0) for row in rows)
    assert "0712345678" not in str([vars(row) for row in rows])

    boss = api(make_user("admin"))
    listed = boss.get(f"{URL}{made['id']}/requests/").json()["data"]
    assert [one["endpoint"] for one in listed] == ["contacts:contact-detail", "contacts:contact-list"]
    assert boss.get(f"{URL}01900000-0000-7000-8000-000000000000/requests/").status_code == 404


def test_the_log_never_grows_without_end_and_is_forgotten_after_30_days(tenant, make_key):
    client, _ = make_key("contacts.view")
    client.get(CONTACTS)
    request_log.flush()
    APIRequestLog.objects.bulk_create(
        [APIRequestLog(endpoint="x", method="GET", status_code=200, response_time=timedelta(0),
                       created_at=timezone.now() - timedelta(days=31))]
    )  # fmt: skip
    assert request_log.forget_old() == 1 and APIRequestLog.objects.count() == 1
    assert request_log._waiting.maxlen == request_log.ROOM


def test_another_tenants_keys_are_not_there(tenants, make_key, make_user, api):
    _, theirs = make_key("contacts.view", tenant=tenants[1])
    boss = api(make_user("admin"))
    for method, path in (("get", ""), ("patch", ""), ("delete", ""), ("get", "requests/")):
        answer = getattr(boss, method)(f"{URL}{theirs['id']}/{path}", HTTP_IF_MATCH="*")
        assert answer.status_code == 404, path
    assert boss.get(URL).json()["data"] == []
    with tenant_context(tenants[0].pk):
        assert not AuditEvent.objects.filter(object_id=theirs["id"]).exists()


def test_me_says_of_a_key_what_it_may_do_and_how_much(tenant, make_key, make_user, api):
    client, made = make_key("contacts.view", rate_limit=7)
    me = client.get("/api/v1/auth/me/").json()
    assert me["tenant"]["id"] == tenant.pk and me["role"] is None and me["user"]["id"] == made["id"]
    assert me["permissions"] == {"contacts.view": "all"} and me["key"]["scopes"] == ["contacts.view"]
    assert me["limits"]["default"] == {"units": 7, "seconds": 60}
    assert client.patch("/api/v1/auth/me/", {"name": "Else"}).status_code == 403
    person = api(make_user("agent")).get("/api/v1/auth/me/").json()
    assert person["key"] is None and person["role"]["name"] == "agent" and "default" in person["limits"]
