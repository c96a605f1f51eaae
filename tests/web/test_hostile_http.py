"""What hostile clients try over HTTP, on every operation there is: forged tokens, hosts and fields, strange
filters, and the hope that an error tells something."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from django.core.management import call_command

from tests.web import bola
from tests.web.bola import Operation, Watch, World, undone
from tests.web.test_bola import send
from web.shared.accounts import registry, tokens
from web.shared.tenants.context import public_context
from web.tenant.contacts.api.views import ContactViewSet

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis, pytest.mark.timeout(600)]
URL = "/api/v1/contacts/"


@pytest.fixture
def world(tenants, make_user, api) -> World:
    made = World(tenants[0], make_user, api)
    made.client()
    return made


def guarded() -> list[Operation]:
    return [one for one in bola.operations() if one.code != registry.ANYONE]


# --- tokens -------------------------------------------------------------------------------------------------


def parts(token: str) -> Any:
    header, claims, _ = token.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(one + "==")) for one in (header, claims))


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    made = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, claims)
    ]
    return ".".join([*made, signature])


def test_no_forged_token_opens_any_operation(world, api, tenants):
    with public_context():
        pair = tokens.issue(world.user(), tenants[0].pk)
    header, claims = parts(pair.access_token)
    signature = pair.access_token.rpartition(".")[2]
    now = claims["iat"]
    published = api().get("/.well-known/jwks.json").content.hex()
    named = {
        "typ": "at+jwt",
        "kid": "../../dev/null",
        "jku": "https://evil.example/keys",
        "jwk": {"kty": "oct"},
    }
    forged = {
        "no algorithm": unsigned({**header, "alg": "none"}, claims),
        "No algorithm": unsigned({**header, "alg": "nOnE"}, claims, signature),
        "no signature": unsigned(header, claims),
        "other claims": unsigned(header, {**claims, "sub": str(world.user("agent").pk)}, signature),
        "the published key as secret": jwt.encode(claims, published, "HS256", {"typ": "at+jwt"}),
        "a key named by the token": jwt.encode(claims, "mine" * 16, "HS256", named),
        "expired": unsigned(header, {**claims, "exp": now - 1}, signature),
        "a refresh token": pair.refresh_token,
        "two tokens": f"{pair.access_token} {pair.access_token}",
        "cut": pair.access_token[:-2],
        "nothing": "",
        "not text": "\u0000\u00ff",
    }  # fmt: skip
    for operation in guarded():
        for trick in ("no algorithm", "a key named by the token"):
            client = api()
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {forged[trick]}")
            assert send(client, operation, operation.url({})).status_code == 401, (trick, str(operation))
    for trick, text in forged.items():
        client = api()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        answer = client.get(URL)
        assert answer.status_code == 401 and "WWW-Authenticate" in answer, trick
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access_token}")
    assert client.get(URL).status_code == 200


def test_an_access_token_is_no_refresh_token_and_a_key_neither(world, api, tenants):
    with public_context():
        pair = tokens.issue(world.user(), tenants[0].pk)
    key = world.client().post("/api/v1/api-keys/", {"name": "A", "scopes": ["contacts.view"]}).json()["key"]
    for text in (pair.access_token, key):
        body = {"grant_type": "refresh_token", "refresh_token": text[:128]}
        assert api().post("/api/v1/auth/token/", body).status_code == 401


# --- hosts --------------------------------------------------------------------------------------------------


def test_only_the_host_header_says_whose_data_it_is(world, api, tenants):
    theirs = api(tenant=tenants[1]).host
    mine = world.client()
    made = mine.post(URL, {"first_name": "Amina"}).json()["id"]
    for name in ("X_FORWARDED_HOST", "X_HOST", "FORWARDED", "X_TENANT", "X_TENANT_ID", "X_ORIGINAL_HOST"):
        value = f"host={theirs}" if name == "FORWARDED" else theirs
        answer = mine.get(URL, **{f"HTTP_{name}": value})
        assert [one["id"] for one in answer.json()["data"]] == [made], name
    for query in (f"tenant={tenants[1].pk}", f"schema={tenants[1].pk}", f"host={theirs}"):
        assert mine.get(f"{URL}?{query}").status_code == 400
    assert mine.post(URL, {"first_name": "A", "tenant": tenants[1].pk}).status_code == 422


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "mto.localhost.evil.example",
        "mto.localhost,ziwa.localhost",
        "mto.localhost@evil.example",
        "mto.localhost/..",
        "http://mto.localhost",
        "mto.localhost#",
        "t_mto000000000",
        "[::1",
        "mto..localhost",
        "mto.localhost\ttab",
        "*.localhost",
    ],
)
def test_a_host_that_is_nobodys_is_404(world, host):
    answer = world.client().get(URL, HTTP_HOST=host)
    assert answer.status_code == 404 and answer["Content-Type"] == "application/problem+json"


def test_a_forged_address_reaches_neither_the_audit_trail_nor_a_limit(world, tenants):
    from web.shared.records.models import AuditEvent
    from web.shared.tenants.context import tenant_context

    answer = world.client().post(URL, {"first_name": "A"}, HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert answer.status_code == 201
    with tenant_context(tenants[0].pk):
        row = AuditEvent.objects.get(action="create", object_id=answer.json()["id"])
    assert row.ip_address == "127.0.0.1"


# --- fields -------------------------------------------------------------------------------------------------

SMUGGLED = {
    "tenant": "t_ziwa00000000", "tenant_id": "t_ziwa00000000", "schema_name": "public", "is_staff": True,
    "is_superuser": True, "is_platform_admin": True, "owner": 1, "is_deleted": True, "deleted_at": None,
    "revision": 99, "created_by": None, "updated_by": None, "created_at": "2020-01-01T00:00:00Z", "pk": 1,
    "recording_path": "/etc/passwd", "password": "x", "digest": "x", "__proto__": {}, "id__in": [1],
    "created_by__password": "x",
}  # fmt: skip


def test_no_body_takes_a_field_that_it_does_not_have(world, tenants):
    """Every writing operation, every field at once: each is refused by name, and nothing is written."""
    watch = Watch([tenants[0].pk, tenants[1].pk, "public"])
    failures = []
    for operation in bola.operations():
        if operation.media != "application/json" or operation.route.startswith("auth:"):
            continue
        try:
            url = operation.url(world.ids(operation))
        except (LookupError, AssertionError) as missing:
            failures.append(f"{operation}: {missing}")
            continue
        watch.start()
        answer = send(world.client(), operation, url, SMUGGLED)
        said = (
            {one["pointer"] for one in answer.json().get("errors", [])}
            if answer.status_code == 422
            else set()
        )
        forgotten = {f"/{name}" for name in SMUGGLED if not takes(operation, name)} - said
        if answer.status_code not in (409, 404) and forgotten:
            failures.append(f"{operation}: {answer.status_code} {sorted(forgotten)} {answer.content[:150]!r}")
        failures += [f"{operation}: changed {table}" for table in watch.changed()]
    assert not failures, "\n".join(failures)


def takes(operation: Operation, name: str) -> bool:
    """A field of that name is this body's own: a draft's revision, a digest's hour."""
    return (operation.route, name) in {
        ("calls:call-draft", "revision"),
        ("notifications:preferences", "digest"),
    }


def test_no_serializer_names_all_fields():
    from rest_framework import serializers

    def everybody(cls: Any) -> list[Any]:
        return [one for sub in cls.__subclasses__() for one in (sub, *everybody(sub))]

    for cls in everybody(serializers.ModelSerializer):
        meta = getattr(cls, "Meta", None)
        if meta is not None and cls.__module__.startswith("web."):
            assert isinstance(getattr(meta, "fields", None), list | tuple), cls
            assert not hasattr(meta, "exclude"), cls


# --- filters and orders -------------------------------------------------------------------------------------

STRANGE = [
    "ordering=id",
    "ordering=-created_by__password",
    "order_by=id",
    "sort=created_by__password",
    "sort=id;drop",
    "sort=%3F",
    "sort=-",
    "sort=--created_at",
    "sort=created_at,id",
    "created_by__password__startswith=x",
    "user__password__startswith=x",
    "id__in=1",
    "pk=1",
    "created_at__gte=x",
    "created_at[regex]=.*",
    "created_at[gte][lt]=x",
    "custom_fields__a=1",
    "custom_fields->>a=1",
    "extra[where]=1",
    "limit=-1",
    "limit=1e9",
    "limit=%00",
    "limit=1;drop table x",
    "cursor=%00",
    "cursor=..%2f..",
    "fields=__class__",
    "fields=password",
    "expand=created_by__password",
    "expand=*",
    "q[]=x",
    "_=1",
    "page=2",
    "offset=10",
    "$where=1",
    "a%00b=1",
]


def test_every_list_refuses_every_parameter_that_it_does_not_know(world):
    failures, lists = [], 0
    for operation in bola.operations():
        if operation.method != "GET" or not operation.route.endswith("-list"):
            continue
        try:
            url = operation.url(world.ids(operation))
        except (LookupError, AssertionError) as missing:
            failures.append(f"{operation}: {missing}")
            continue
        lists += 1
        for query in STRANGE:
            with undone():
                answer = world.client().get(f"{url}?{query}")
            if answer.status_code != 400 or answer.json()["code"] not in ("malformed", "bad_cursor"):
                failures.append(f"{operation} ?{query}: {answer.status_code} {answer.content[:120]!r}")
    assert not failures, "\n".join(failures)
    assert lists >= 10


@pytest.mark.parametrize(
    "value",
    [
        "' OR 1=1 --",
        "%' OR '1'='1",
        "\\",
        "%",
        "_",
        "\u0000",
        "\U0001f600",
        "a" * 5000,
        "\u202e",
        "1) or (1=1",
    ],
)
def test_a_search_takes_text_as_text(world, value):
    world.client().post(URL, {"first_name": "Amina"})
    answer = world.client().get(f"{URL}?q={quote(value)}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert answer.json()["data"] == []


# --- answers ------------------------------------------------------------------------------------------------


def test_every_answer_carries_the_headers_that_bind_a_browser(world, api):
    failures = []
    for operation in bola.operations():
        for client in (api(), world.client()):
            with undone():
                answer = send(client, operation, operation.url({}))
            policy = answer.get("Content-Security-Policy", "")
            held = {
                "nosniff": answer.get("X-Content-Type-Options") == "nosniff",
                "object-src": "object-src 'none'" in policy or "sandbox" in policy,
                "base-uri": "base-uri 'none'" in policy or "sandbox" in policy,
                "frame-ancestors": "frame-ancestors 'none'" in policy,
                "referrer": answer.get("Referrer-Policy") == "same-origin",
                "no-store": "no-store" in answer.get("Cache-Control", "")
                or operation.path.startswith("/.well-known"),
                "request id": bool(answer.get("X-Request-Id")),
                "no server": not answer.get("Server") and not answer.get("X-Powered-By"),
                "json": answer.status_code == 204 or "json" in answer.get("Content-Type", ""),
            }
            failures += [f"{operation}: {name} ({answer.status_code})" for name, ok in held.items() if not ok]
    assert not failures, "\n".join(failures)


SECRET = "hunter2-is-in-the-message"


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_failure_of_ours_says_nothing_but_its_request(world, api, monkeypatch, accept):
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{SECRET} at {__file__}")

    monkeypatch.setattr(ContactViewSet, "get_queryset", broken)
    client = world.client()
    client.raise_request_exception = False
    answer = client.get(URL, HTTP_ACCEPT=accept)
    text = answer.content.decode()
    assert answer.status_code in (406, 500)
    assert not any(word in text for word in (SECRET, "Traceback", "RuntimeError", __file__, ".py", "SELECT"))
    if answer.status_code == 500:
        assert answer.json()["code"] == "internal_error" and answer.json()["request_id"]


def test_a_failure_of_middleware_says_as_little(world, monkeypatch):
    import web.shared.tenants.middleware as middleware

    def broken(host: str) -> Any:
        raise RuntimeError(SECRET)

    client = world.client()
    client.raise_request_exception = False
    monkeypatch.setattr(middleware, "_tenant", broken)
    answer = client.get(URL)
    assert answer.status_code == 500 and SECRET not in answer.content.decode()


def test_production_debugs_nothing_and_the_admin_is_on_no_tenants_host(world, settings):
    assert settings.DEBUG is False
    for path in (
        "/admin/",
        "/admin/login/",
        "/static/",
        "/__debug__/",
        "/.git/config",
        "/.env",
        "/api/../admin/",
    ):
        answer = world.client().get(path, HTTP_ACCEPT="application/json")
        assert answer.status_code in (404, 400) or b"<!doctype html>" in answer.content[:200].lower(), path
        assert b"Index of" not in answer.content if hasattr(answer, "content") else True
    call_command("check", "--tag", "security")
