"""The API's description: every body has an example that fits, every operation its scope and errors."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jsonschema
import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.web.bola import operations
from web.shared.accounts.registry import ANYONE
from web.shared.api.examples import example_of
from web.shared.api.problems import Conflict


@cache
def description() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator(urlconf="config.urls_tenant").get_schema(request=None, public=True)
    return made


def whole(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to, or the thing itself."""
    if "$ref" not in part:
        return part
    found: Any = description()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def bodies() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path, methods in description()["paths"].items():
        for method, said in methods.items():
            parts = [("request", said.get("requestBody", {}))]
            parts += [(code, one) for code, one in said["responses"].items() if code < "400"]
            for where, part in parts:
                for kind, media in part.get("content", {}).items():
                    if "json" in kind or "multipart" in kind:
                        found.append((f"{method.upper()} {path} {where} {kind}", media))
    return found


def test_every_body_has_an_example_that_fits_its_schema():
    components, failures = description()["components"], []
    for where, media in bodies():
        if "example" not in media and "examples" not in media:
            failures.append(f"{where}: no example")
            continue
        if "multipart" in where:
            continue
        schema = {**media["schema"], "components": components}
        for error in jsonschema.Draft202012Validator(schema).iter_errors(media.get("example")):
            failures.append(f"{where}: {error.json_path} {error.message[:100]}")
    assert not failures, "\n".join(failures)
    assert len(bodies()) > 50


def test_every_operation_names_its_scope_its_proofs_and_its_errors():
    known = {(one.method, one.path): one for one in operations()}
    for path, methods in description()["paths"].items():
        for method, said in methods.items():
            code = known[(method.upper(), path)].code
            where = f"{method} {path}"
            assert said["operationId"] and said["responses"], where
            if code != ANYONE:
                assert said.get("security"), where
            if not code.startswith("-"):
                assert all(scopes == [code] for proof in said["security"] for scopes in proof.values()), where
                assert code in said["description"], where
            for status in ("400", "401", "403", "429"):
                content = whole(said["responses"][status])["content"]["application/problem+json"]
                assert content["schema"]["$ref"].endswith("/Problem"), where
            assert "RateLimit-Remaining" in whole(next(iter(said["responses"].values())))["headers"], where


def test_no_two_operations_share_an_id_and_no_two_bodies_a_name():
    ids = [said["operationId"] for methods in description()["paths"].values() for said in methods.values()]
    assert len(ids) == len(set(ids))
    assert description()["openapi"].startswith("3.1")
    assert "## First steps" in description()["info"]["description"]


@pytest.mark.parametrize(
    ("schema", "name", "value"),
    [
        ({"type": "string", "enum": ["", "a"]}, "", "a"),
        ({"type": ["string", "null"], "format": "date"}, "due", "2026-03-01"),
        ({"type": "integer", "minimum": 5}, "", 5),
        ({"type": "integer", "maximum": 0}, "", 0),
        ({"type": "array", "items": {"type": "string", "format": "email"}}, "", ["amina@example.org"]),
        ({"type": "string", "pattern": "^[a-z]+$"}, "name", "example"),
        ({"type": "string", "maxLength": 3}, "title", "Cal"),
        ({"oneOf": [{"type": "null"}, {"type": "boolean"}]}, "", True),
        ({"examples": ["said"], "type": "string"}, "", "said"),
        ({}, "", {}),
    ],
)
def test_an_example_is_made_of_what_the_schema_says(schema, name, value):
    assert example_of(schema, {}, name) == value


def test_what_points_at_itself_ends():
    components = {
        "Tree": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"$ref": "#/x/Tree"}}},
        }
    }
    assert example_of({"$ref": "#/x/Tree"}, components)


def test_what_is_stored_as_nothing_may_be_answered_as_nothing():
    said = description()["components"]["schemas"]
    assert said["CaseBody"]["properties"]["form"]["type"] == ["string", "null"]
    assert said["CaseBody"]["properties"]["contact"]["type"] == ["string", "null"]
    reason = said["ContactBody"]["properties"]["legal_hold_reason"]["oneOf"]
    assert {"$ref": "#/components/schemas/BlankEnum"} in reason


def test_null_is_not_described_twice_where_anything_may_be():
    for name, schema in description()["components"]["schemas"].items():
        for field, inner in schema.get("properties", {}).items():
            assert {} not in inner.get("oneOf", ()), (name, field)


def test_a_delete_that_reads_a_body_says_so_and_others_have_none():
    paths = description()["paths"]
    has = {path for path, one in paths.items() if "requestBody" in one.get("delete", {})}
    assert has == {
        "/api/v1/auth/mfa/passkeys/{passkey}/",
        "/api/v1/auth/mfa/totp/",
        "/api/v1/auth/token/",
    }
    assert all("422" in paths[path]["delete"]["responses"] for path in has)


def test_a_time_of_day_has_no_zone():
    said = description()["components"]["schemas"]["NotificationPreferenceBody"]["properties"]["digest_at"]
    assert "format" not in said and re.search(said["pattern"], "08:00:00")
    assert not re.search(said["pattern"], "08:00:00Z") and not re.search(said["pattern"], "24:00")


def test_a_problem_keeps_what_the_standard_names():
    told = Conflict(status="open", title="mine", allowed=["closed"]).document(request_id="r")
    assert (told["status"], told["title"], told["allowed"]) == (409, Conflict.title, ["closed"])
