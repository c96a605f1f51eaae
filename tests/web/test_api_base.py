"""The API's common behaviour, shown on contacts: the cases every resource runs, and what lies around them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import override_settings

from tests.web.api_cases import ResourceCases
from tests.web.kit_events import at_once
from web.shared.accounts import registry
from web.shared.accounts.checks import missing_rows
from web.shared.api import problems
from web.shared.api.management.commands import api_schema
from web.shared.core.exits import Exit
from web.shared.core.logs import REMOVED, describe_exception, remove_personal
from web.shared.tenants.context import tenant_context

pytestmark = [pytest.mark.database]
URL = "/api/v1/contacts/"


class TestContactsAsAnExample(ResourceCases):
    url = URL
    created = {"first_name": "Amina"}
    updated = {"first_name": "Asha"}
    refused = {"first_name": ""}
    may_edit, may_view, may_not = "agent", "viewer", "telephony_admin"
    sorts = ("created_at", "-created_at", "first_name", "-first_name")


@pytest.mark.django_db
def test_every_error_has_one_shape_wherever_it_was_noticed(api, make_user, client):
    signed_in = api(make_user("agent"))
    seen = {
        "unknown path": (signed_in.get("/api/v1/nonsense/"), 404, "not_found"),
        "unknown path, POST": (signed_in.post("/api/nonsense/", {}), 404, "not_found"),
        "unknown host": (client.get("/api/v1/contacts/", HTTP_HOST="nobody.localhost"), 404, "not_found"),
        "no session": (api().get(URL), 401, "not_signed_in"),
        "bad token": (api().get(URL, HTTP_AUTHORIZATION="Bearer x"), 401, "bad_token"),
        "method": (signed_in.delete(URL), 405, "method_not_allowed"),
        "csrf": (_with_csrf_checks(api, make_user).post(URL, {}), 403, "csrf_refused"),
    }
    for case, (answer, status, code) in seen.items():
        body = answer.json()
        assert (answer.status_code, body["code"]) == (status, code), case
        assert answer["Content-Type"] == "application/problem+json", case
        assert body["request_id"] == answer["X-Request-Id"] and body["type"].endswith(f"#{code}"), case
        assert {"type", "title", "status", "detail", "instance"} <= body.keys(), case
    assert seen["method"][0]["Allow"]


def _with_csrf_checks(api, make_user):
    return api(make_user("agent"), enforce_csrf_checks=True)


@pytest.mark.django_db
def test_a_lost_database_is_503_and_a_bug_is_500_without_its_trace(api, make_user, monkeypatch, caplog):
    client = api(make_user("agent"), raise_request_exception=False)

    def lost(*_, **__):
        raise OperationalError("connection to 10.0.0.1 lost, password hunter2")

    def bug(*_, **__):
        raise ValueError("Amina +254700000001")

    monkeypatch.setattr("web.tenant.contacts.api.views.ContactViewSet.get_queryset", lost)
    answer = client.get(URL)
    assert answer.status_code == 503 and answer["Retry-After"] and b"hunter2" not in answer.content
    monkeypatch.setattr("web.tenant.contacts.api.views.ContactViewSet.get_queryset", bug)
    answer = client.get(URL)
    assert answer.status_code == 500 and answer.json()["code"] == "internal_error"
    assert b"Amina" not in answer.content and b"Traceback" not in answer.content
    monkeypatch.setattr("web.shared.tenants.middleware._tenant", lost)
    assert client.get(URL).status_code == 503


@pytest.mark.django_db
def test_answers_carry_security_headers_and_data_is_not_stored(api, make_user):
    with override_settings(SIP_WEBSOCKET="wss://sip.example/ws"):
        answer = api(make_user("agent")).get(URL)
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe-inline" not in policy.split("style-src")[0]
    for directive in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "connect-src 'self'"):
        assert directive in policy
    assert answer["X-Content-Type-Options"] == "nosniff" and answer["X-Frame-Options"] == "DENY"
    assert answer["Cache-Control"] == "no-store" and answer["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
def test_a_request_id_is_kept_when_plain_and_replaced_when_not(api):
    client = api()
    assert client.get(URL, HTTP_X_REQUEST_ID="abc-12345")["X-Request-Id"] == "abc-12345"
    for strange in ("x", "a" * 65, "<script>alert(1)</script>"):
        assert client.get(URL, HTTP_X_REQUEST_ID=strange)["X-Request-Id"] != strange


@pytest.mark.django_db
def test_cursors_are_bound_to_tenant_and_sort_and_cannot_be_forged(api, make_user, tenants):
    first = api(make_user("agent"))
    other = api(make_user("agent", tenant=tenants[1]), tenant=tenants[1])
    for number in range(3):
        first.post(URL, {"first_name": f"Person {number}"})
    cursor = first.get(f"{URL}?limit=1").json()["next_cursor"]
    assert first.get(f"{URL}?limit=1&cursor={cursor}").status_code == 200
    refused = [
        first.get(f"{URL}?limit=1&sort=first_name&cursor={cursor}"),
        first.get(f"{URL}?limit=1&cursor={cursor[:-2]}xx"),
        other.get(f"{URL}?limit=1&cursor={cursor}"),
    ]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(400, "bad_cursor")] * 3


@pytest.mark.django_db(transaction=True)
def test_the_same_key_from_two_at_once_makes_one_row(api, make_user, tenants):
    user, key = make_user("agent"), uuid.uuid4().hex
    clients = [api(user) for _ in range(4)]

    def post(client: Any) -> Any:
        return lambda: client.post(URL, {"first_name": "Once"}, HTTP_IDEMPOTENCY_KEY=key)

    answers = at_once(*map(post, clients))
    assert len(answers) == 4 and {one.status_code for one in answers} <= {201, 409}
    assert {one.json()["id"] for one in answers if one.status_code == 201}.__len__() == 1
    with tenant_context(tenants[0].pk):
        from web.tenant.contacts.models import Contact

        assert Contact.objects.filter(first_name="Once").count() == 1


@pytest.mark.django_db
def test_hostile_bodies_are_refused_before_they_reach_the_database(api, make_user):
    client = api(make_user("agent"))
    bodies = {
        "nul": ('{"first_name": "a\\u0000b"}', 400),
        "half a surrogate": ('{"first_name": "\\ud800"}', 400),
        "nul in a custom field": ('{"first_name": "a", "custom_fields": {"x": "\\u0000"}}', 400),
        "depth": ("[" * 100_000 + "]" * 100_000, 400),
        "depth of a field": ('{"first_name": "a", "custom_fields": {"x": ' + "[" * 60 + "]" * 60 + "}}", 400),
        "size": (f'{{"first_name": "{"a" * 3_000_000}"}}', 413),
        "not UTF-8": (b'{"first_name": "\xff"}', 400),
    }
    for name, (body, status) in bodies.items():
        answer = client.generic("POST", URL, body, content_type="application/json")
        assert answer.status_code == status, name
    for query in (
        "limit=" + "9" * 5000,
        "q=%00",
        "is_active=maybe",
        "created_at[gte]=yesterday",
        "cursor=%00",
    ):
        assert client.get(f"{URL}?{query}").status_code == 400, query
    client.cookies["murima_session"] = "x" * 5000
    assert client.get(URL).status_code == 401


# --- description and documentation -------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_schema_and_its_bundled_documentation_are_served_without_inline_script(api):
    client = api()
    schema = client.get("/api/schema/").json()
    assert schema["openapi"].startswith("3.1") and "/api/v1/contacts/" in schema["paths"]
    listing = schema["paths"]["/api/v1/contacts/"]["get"]
    assert "Needs `contacts.view`." in listing["description"] and "401" in listing["responses"]
    page = client.get("/api/docs/")
    assert page.status_code == 200 and b"<script>" not in page.content and b"//cdn" not in page.content
    assert client.get("/api/docs/?script").status_code == 200
    errors = client.get("/api/docs/errors/").content.decode()
    assert all(f'id="{one.code}"' in errors for one in problems.catalogue())


def test_a_change_of_the_description_is_noticed(tmp_path, monkeypatch):
    committed = tmp_path / "openapi.json"
    monkeypatch.setattr(api_schema, "BASE", tmp_path)
    monkeypatch.setattr(api_schema, "FILE", committed)
    with pytest.raises(Exit):
        call_command("api_schema", "--check")
    call_command("api_schema", verbosity=0)
    call_command("api_schema", "--check")
    committed.write_text(committed.read_text().replace("Amina", "") + " ")
    with pytest.raises(Exit, match="differs"):
        call_command("api_schema", "--check")


def test_a_name_that_the_generator_had_to_make_up_is_an_error(tmp_path, monkeypatch, capsys):
    """Two lists of choices that want one name would come out as Method028Enum, and as 029 next time."""
    from drf_spectacular import plumbing
    from drf_spectacular.settings import spectacular_settings

    monkeypatch.setattr(api_schema, "BASE", tmp_path)
    monkeypatch.setattr(api_schema, "FILE", tmp_path / "openapi.json")
    fewer = dict(spectacular_settings.ENUM_NAME_OVERRIDES)
    del fewer["SecondFactorEnum"]
    monkeypatch.setattr(spectacular_settings, "ENUM_NAME_OVERRIDES", fewer)
    known = plumbing._load_enum_name_overrides
    known.cache_clear()
    try:
        for options in ([], ["--check"]):
            with pytest.raises(Exit, match="warnings above"):
                call_command("api_schema", *options, verbosity=0)
    finally:
        known.cache_clear()
    assert not api_schema.FILE.exists() and "ENUM_NAME_OVERRIDES" in capsys.readouterr().err
    monkeypatch.undo()
    api_schema.generate()


# --- the permission registry -------------------------------------------------------------------------------


def test_every_route_has_its_row_and_one_without_does_not_start(settings):
    assert list(missing_rows("config.urls_tenant")) == [] and list(missing_rows("config.urls_public")) == []
    row = registry.routes.pop("auth:me")
    try:
        assert list(missing_rows("config.urls_tenant")) == [
            f"config.urls_tenant: {method} auth:me has no row in the permission registry"
            for method in ("GET", "PATCH")
        ]
    finally:
        registry.routes["auth:me"] = row


@pytest.mark.django_db
def test_a_route_whose_row_is_gone_is_refused_to_everybody(api, make_user):
    client = api(make_user("admin"))
    row = registry.routes.pop("contacts:contact-list")
    try:
        assert client.get(URL).status_code == 403
    finally:
        registry.routes["contacts:contact-list"] = row


def test_a_message_without_a_row_is_named():
    registry.require_messages(["call.hold", "shift.start"])
    with pytest.raises(LookupError, match=r"call\.teleport"):
        registry.require_messages(["call.hold", "call.teleport"])


# --- logs --------------------------------------------------------------------------------------------------


def test_log_lines_lose_what_could_be_personal():
    line = {
        "event": "x",
        "caller_number": "+254700000001",
        "email": "a@b",
        "tenant": "t_1",
        "note": "hi",
        "route": "r",
    }
    cleaned = remove_personal(None, "", dict(line))
    assert cleaned == {**line, "caller_number": REMOVED, "email": REMOVED, "note": REMOVED}
    try:
        raise ValueError("+254700000001")
    except ValueError as problem:
        told = describe_exception(None, "", {"event": "x", "exc_info": problem})
    assert told["exception"] == "ValueError" and "+254700000001" not in str(told)


# --- health ------------------------------------------------------------------------------------------------


@pytest.mark.redis
@pytest.mark.django_db
def test_health_answers_on_any_host_and_metrics_only_to_this_machine(tenants, client, settings):
    assert client.get("/livez", HTTP_HOST="nobody").json() == {"status": "live"}
    ready = client.get("/readyz", HTTP_HOST="nobody")
    assert ready.status_code == 200 and ready.json()["checks"] == {"database": True, "redis": True}
    assert b"murima_http_requests_total" in client.get("/metrics").content
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 404
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="127.0.0.1").status_code == 404
    settings.METRICS_TOKEN = "m" * 20
    shown = client.get("/metrics", REMOTE_ADDR="203.0.113.9", HTTP_AUTHORIZATION="Bearer " + "m" * 20)
    assert shown.status_code == 200
