"""Nobody reaches another organisation's rows, nor more of their own than their role lets them: bola.py."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web import bola, bola_rows
from tests.web.bola import Operation, Watch, World, kind_of_field, kind_of_param, placed, undone
from web.shared.accounts import registry
from web.shared.accounts.checks import endpoints
from web.shared.accounts.roles import ROLES, default_permissions

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis, pytest.mark.timeout(600)]

# Not described, or described for no tool to call: what stands outside a tenant's data.
OUTSIDE = {"schema", "docs", "error-docs", "app", "api-not-found", "asyncapi", "asyncapi-docs"}


@pytest.fixture
def worlds(tenants, make_user, api) -> tuple[World, World]:
    both = World(tenants[0], make_user, api), World(tenants[1], make_user, api)
    for world in both:
        for role in ("admin", "agent"):
            world.client(role)
    return both


@pytest.fixture
def watch(tenants) -> Watch:
    return Watch([tenants[0].pk, tenants[1].pk, "public"])


def send(client: Any, operation: Operation, url: str, body: Any = None) -> Any:
    method = operation.method.lower()
    extra: dict[str, Any] = {"HTTP_IF_MATCH": "*"}
    if operation.media.startswith("multipart/"):
        return getattr(client, method)(url, body or {}, format="multipart", **extra)
    if not operation.media:
        return getattr(client, method)(url, **extra)
    return getattr(client, method)(url, body or {}, format="json", **extra)


def test_every_route_of_a_tenant_is_described(db):
    from importlib import import_module

    described = {operation.route for operation in bola.operations()}
    names = {name for name, _, _ in endpoints(import_module(bola.URLCONF).urlpatterns)}
    assert not sorted(names - described - OUTSIDE - bola_rows.UNWALKED.keys())


def test_an_id_of_another_organisation_in_a_path_is_404_and_nothing_happens(worlds, watch):
    mine, theirs = worlds
    failures, walked = [], 0
    for operation in bola.operations():
        if not operation.params or operation.route in bola_rows.UNWALKED:
            continue
        try:
            strange = list(strange_paths(operation, mine, theirs))
            body = mine.body(operation) if operation.media == "application/json" else None
        except (LookupError, AssertionError) as missing:
            failures.append(f"{operation}: {missing}")
            continue
        for ids in strange:
            watch.start()
            answer = send(mine.client(), operation, operation.url(ids), body)
            walked += 1
            if answer.status_code != 404 or answer.json()["code"] != "not_found":
                failures.append(f"{operation}: {answer.status_code} {answer.content[:200]!r}")
            failures += [f"{operation}: changed {table}" for table in watch.changed()]
    assert not failures, "\n".join(failures)
    assert walked >= 15


def strange_paths(operation: Operation, mine: World, theirs: World) -> Iterator[dict[str, Any]]:
    """Each combination in which at least one id is the other organisation's."""
    kinds = {name: kind_of_param(operation, name) for name in operation.params}
    for name in operation.params:
        yield {other: (theirs if other == name else mine).row(kind) for other, kind in kinds.items()}
    if len(kinds) > 1:
        yield {name: theirs.row(kind) for name, kind in kinds.items()}


def test_an_id_of_another_organisation_in_a_body_is_refused_as_if_it_were_nobodys(worlds, watch):
    mine, theirs = worlds
    failures, walked = [], 0
    for operation in bola.operations():
        if not operation.fields or operation.route in bola_rows.UNWALKED:
            continue
        try:
            url, whole = operation.url(mine.ids(operation)), mine.body(operation)
            kinds = {one: kind_of_field(operation, one.name) for one in operation.fields}
            both = {one: (mine.row(kind), theirs.row(kind)) for one, kind in kinds.items() if kind}
        except (LookupError, AssertionError) as missing:
            failures.append(f"{operation}: {missing}")
            continue
        for one, (ours, foreign) in both.items():
            with undone():
                own = send(mine.client(), operation, url, placed(whole, one.path, ours))
            if own.status_code == 422 and "does_not_exist" in codes(own, one.pointer):
                failures.append(f"{operation} {one.pointer}: our own is refused {own.content[:300]!r}")
            unknown = str(uuid.uuid4())
            watch.start()
            answer = send(mine.client(), operation, url, placed(whole, one.path, foreign))
            nobodys = send(mine.client(), operation, url, placed(whole, one.path, unknown))
            walked += 1
            # A row that keeps what it was made with says that, whatever the id.
            said = codes(answer, one.pointer) & {"does_not_exist", "immutable"}
            if operation.route in bola_rows.REPORTED:
                reported = [row["code"] for row in answer.json().get("results", [])]
                if reported != ["does_not_exist"]:
                    failures.append(f"{operation} {one.pointer}: {answer.content[:300]!r}")
            elif answer.status_code != 422 or not said:
                failures.append(f"{operation} {one.pointer}: {answer.status_code} {answer.content[:300]!r}")
            elif str(errors(answer)).replace(foreign, unknown) != str(errors(nobodys)):
                failures.append(f"{operation} {one.pointer}: told apart from an id of nobody")
            failures += [f"{operation}: changed {table}" for table in watch.changed()]
    assert not failures, "\n".join(failures)
    assert walked >= 5


def errors(answer: Any) -> list[dict[str, str]]:
    found: list[dict[str, str]] = answer.json().get("errors", [])
    return found


def codes(answer: Any, pointer: str) -> set[str]:
    """The codes said about this field, or about the list or object that it is in."""
    return {one["code"] for one in errors(answer) if pointer.startswith(one["pointer"]) and one["pointer"]}


def test_an_id_of_another_organisation_in_a_query_finds_what_an_id_of_nobody_finds(worlds):
    mine, theirs = worlds
    failures = []
    for operation in bola.operations():
        for name in operation.queries:
            try:
                kind = kind_of_field(operation, name)
                url, foreign = operation.url(mine.ids(operation)), theirs.row(kind)
            except (LookupError, AssertionError) as missing:
                failures.append(f"{operation}: {missing}")
                continue
            answer = mine.client().get(f"{url}?{name}={foreign}")
            nobodys = mine.client().get(f"{url}?{name}={uuid.uuid4()}")
            if answer.status_code != nobodys.status_code or told(answer) != told(nobodys):
                failures.append(f"{operation} ?{name}: {answer.status_code} {answer.content[:200]!r}")
            if answer.status_code == 200 and answer.json().get("data"):
                failures.append(f"{operation} ?{name}: rows {answer.content[:200]!r}")
    assert not failures, "\n".join(failures)


def told(answer: Any) -> str:
    body = answer.json()
    return json.dumps({name: body[name] for name in body if name not in ("request_id", "instance")})


def test_a_role_without_the_permission_is_refused_by_its_name_and_nothing_happens(worlds, watch):
    mine, _ = worlds
    failures, walked = [], 0
    held = {role: default_permissions(role) for role in ROLES}
    all_operations = bola.operations()
    mine.client()
    for role in ROLES:
        mine.client(role)
    watch.start()
    for operation in all_operations:
        if operation.code.startswith("-"):
            continue
        for role in ROLES:
            if operation.code in held[role]:
                continue
            answer = send(mine.client(role), operation, operation.url({}))
            walked += 1
            if answer.status_code != 403 or answer.json().get("permission") != operation.code:
                failures.append(f"{operation} as {role}: {answer.status_code} {answer.content[:200]!r}")
    failures += [f"changed {table}" for table in watch.changed()]
    assert not failures, "\n".join(failures)
    assert walked >= 50


def test_who_is_not_signed_in_gets_in_nowhere(worlds):
    mine, _ = worlds
    failures = []
    for operation in bola.operations():
        if operation.code == registry.ANYONE:
            continue
        answer = send(mine.nobody(), operation, operation.url({}))
        if answer.status_code != 401 or "WWW-Authenticate" not in answer:
            failures.append(f"{operation}: {answer.status_code}")
    assert not failures, "\n".join(failures)


def test_a_session_token_or_key_of_one_organisation_proves_nothing_at_another(
    worlds, make_user, api, tenants
):
    from web.shared.accounts import tokens
    from web.shared.tenants.context import public_context

    _, theirs = worlds
    with public_context():
        pair = tokens.issue(theirs.user(), tenants[1].pk)
    made = theirs.client().post("/api/v1/api-keys/", {"name": "A", "scopes": ["contacts.view"]})
    failures = []
    session = api()
    session.cookies = theirs.client().cookies
    for operation in bola.operations():
        if operation.code == registry.ANYONE:
            continue
        for text in (pair.access_token, made.json()["key"]):
            client = api()
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
            if send(client, operation, operation.url({})).status_code != 401:
                failures.append(f"{operation}: a token or key of another organisation")
        if send(session, operation, operation.url({})).status_code != 401:
            failures.append(f"{operation}: a session of another organisation")
    assert not failures, "\n".join(failures)


def test_a_key_without_the_scope_is_refused_by_its_name(worlds, api):
    mine, _ = worlds
    made = mine.client().post("/api/v1/api-keys/", {"name": "A", "scopes": ["audit.view"]}).json()
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made['key']}")
    failures = []
    for operation in bola.operations():
        if operation.code.startswith("-") or operation.code == "audit.view":
            continue
        answer = send(client, operation, operation.url({}))
        if answer.status_code != 403 or answer.json().get("permission") != operation.code:
            failures.append(f"{operation}: {answer.status_code} {answer.content[:200]!r}")
    assert not failures, "\n".join(failures)
