"""The mistakes of a first day with the API: each answer says what, why and what to do instead."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

pytestmark = [pytest.mark.database]
CONTACTS, TASKS, DOCUMENTS = "/api/v1/contacts/", "/api/v1/tasks/", "/api/v1/documents/"
JSON = "application/json"


def told(answer, status: int) -> str:
    """What the problem says in its own words, fields included."""
    body = answer.json()
    assert answer.status_code == status, body
    assert answer["Content-Type"] == "application/problem+json"
    return " ".join([body["detail"], *(one["detail"] for one in body.get("errors", []))])


@pytest.fixture
def boss(api, make_user):
    return api(make_user("admin"))


@pytest.mark.django_db
def test_a_path_without_its_slash_is_told_so_and_an_unknown_one_is_not(boss, api):
    for client in (boss, api()):
        for path in ("/api/v1/contacts", "/api/docs"):
            assert "with a slash at its end" in told(client.get(path), 404)
    assert "slash" in told(boss.post("/api/v1/contacts", {"first_name": "Amina"}), 404)
    for path in ("/api/v1/contact", "/api/v1/contact/", "/api/"):
        said = told(boss.get(path), 404)
        assert "slash" not in said and "/api/docs/" in said


@pytest.mark.django_db
def test_a_host_of_nobody_and_the_platforms_host_say_where_to_go(client, tenants, settings):
    assert "organisation" in told(client.get(CONTACTS, HTTP_HOST="nobody.localhost"), 404)
    sent = {"email": "a@example.org", "password": "x"}
    platform = client.post(
        "/api/v1/auth/token/", sent, content_type=JSON, HTTP_HOST=settings.PLATFORM_HOSTS[0]
    )
    assert "your organisation's own address" in told(platform, 403)


@pytest.mark.django_db
def test_who_sends_no_proof_learns_how_it_is_sent(api):
    for headers in ({}, {"HTTP_AUTHORIZATION": "Token x"}, {"HTTP_AUTHORIZATION": "mrk_live_x"}):
        assert "Authorization: Bearer" in told(api().get(CONTACTS, **headers), 401)


@pytest.mark.django_db
def test_a_body_that_is_no_json_says_where_without_repeating_it(boss):
    said = told(boss.generic("POST", CONTACTS, "{'first_name': 'Amina'}", JSON), 400)
    assert "line 1 column 2" in said and "Amina" not in said
    assert "32 levels" in told(boss.generic("POST", CONTACTS, "[" * 40 + "]" * 40, JSON), 400)
    assert "NUL" in told(boss.generic("POST", CONTACTS, '{"first_name": "a\\u0000b"}', JSON), 400)
    said = told(boss.generic("POST", CONTACTS, "[1]", JSON), 422)
    assert "JSON object" in said and "dictionary" not in said


@pytest.mark.django_db
def test_another_kind_of_body_is_told_the_kinds_of_this_operation(boss):
    said = told(boss.generic("POST", CONTACTS, "first_name=Amina", "application/x-www-form-urlencoded"), 415)
    assert JSON in said and "multipart" not in said
    said = told(boss.post(DOCUMENTS, {"file": "aGVsbG8="}), 415)
    assert "multipart/form-data" in said and JSON not in said
    assert "boundary" in told(boss.generic("POST", DOCUMENTS, "hello", "multipart/form-data"), 400)
    said = told(boss.post(DOCUMENTS, {"file": "letter.txt"}, format="multipart"), 422)
    assert "file name" in said


@pytest.mark.django_db
def test_a_method_that_is_not_there_names_those_that_are(boss):
    assert "GET, POST" in told(boss.delete(CONTACTS), 405)


@pytest.mark.django_db
def test_what_is_not_among_the_choices_or_filters_names_them(boss):
    said = told(boss.post(TASKS, {"title": "x", "priority": "hot"}), 422)
    assert "low" in said and "urgent" in said and "hot" not in said
    said = told(boss.post("/api/v1/cases/", {"title": "x", "case_type": "delivery"}), 422)
    assert "UUID" in said and "delivery" not in said
    said = told(boss.get(f"{TASKS}?due_before=2026-01-01"), 400)
    assert "due_date[lt]" in said and "status" in said


@pytest.mark.django_db
def test_a_webhook_to_this_machine_says_how_it_is_allowed(boss):
    sent = {"url": "http://127.0.0.1:9/in", "event_types": ["case.created"]}
    assert "MURIMA_EGRESS_LOCAL_ORIGINS" in told(boss.post("/api/v1/webhooks/", sent), 422)
    with override_settings(EGRESS_LOCAL_MAY_BE_SET=False):
        said = told(boss.post("/api/v1/webhooks/", sent), 422)
    assert "https" in said and "MURIMA" not in said


@pytest.mark.django_db
def test_a_scope_of_no_operation_leads_to_where_they_are_listed(boss):
    sent = {"name": "Robot", "scopes": ["contacts.everything"]}
    assert "/api/docs/" in told(boss.post("/api/v1/api-keys/", sent), 422)


@pytest.mark.django_db
def test_an_empty_file_and_one_of_another_kind_say_what_is_taken(boss):
    empty = SimpleUploadedFile("a.txt", b"", "text/plain")
    assert "empty" in told(boss.post(DOCUMENTS, {"file": empty}, format="multipart"), 422)
