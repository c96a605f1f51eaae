"""The API does what its description says, whatever is sent: no failure of ours, and answers as described.

Schemathesis makes the requests from the description; they go through the whole application, as its signed-in
administrator, to rows that exist where a path names one, and each is undone. The number of examples for each
operation is small and the same in each run; MURIMA_EXAMPLES=200 looks deeper.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from config.wsgi import application
from tests.web.bola import Operation, World, operations, undone
from web.shared.accounts import tokens
from web.shared.api.schema import PROBLEM
from web.shared.tenants.context import public_context

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis, pytest.mark.timeout(3600)]
EXAMPLES = int(os.environ.get("MURIMA_EXAMPLES", "3"))
SEED = 20_260_301


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """The application's requests share the test's transaction, as those of Django's own test client do."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def world(tenants, make_user, api) -> World:
    made = World(tenants[0], make_user, api)
    for role in ("admin", "agent"):
        made.client(role)
    return made


def test_every_answer_is_as_described(world, api):
    description = api().get("/api/schema/").json()
    schema = schemathesis.openapi.from_dict(description)
    schema.app = application
    known = {(one.method, one.path): one for one in operations()}
    failures: list[str] = []
    count = [0]
    for result in schema.get_all_operations():
        described: Any = result.ok()  # type: ignore[union-attr]
        operation = known[(described.method.upper(), described.path)]
        try:
            ids = world.ids(operation)
        except (LookupError, AssertionError):
            ids = {}
        try:
            walk(described, world, ids, count)
        except Exception as error:  # hypothesis gathers several into a group; all of them are told
            failures.append(f"{operation}: {told(error)}")
    print(f"{count[0]} requests")
    assert not failures, "\n".join(failures)
    assert count[0] >= len(known)


def walk(described: Any, world: World, ids: dict[str, str], count: list[int]) -> None:
    """Send `EXAMPLES` requests to one operation; AssertionError for an answer that is not as described."""
    with public_context():
        token = tokens.issue(world.user(), world.tenant.pk).access_token
    headers, host = {"Authorization": f"Bearer {token}"}, world.client().host

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def send(case: Any) -> None:
        count[0] += 1
        case.path_parameters = {**(case.path_parameters or {}), **ids} or None
        with undone():
            response = case.call(base_url=f"http://{host}", headers={**headers, "If-Match": "*"})
        check(case, response)

    send()


def check(case: Any, response: Any) -> None:
    if response.status_code < 400:
        case.validate_response(
            response, checks=[not_a_server_error, response_schema_conformance, content_type_conformance]
        )
        return
    assert response.status_code != 500, f"500 for {case.as_curl_command()}"
    body = response.json()
    assert response.headers["content-type"][0].startswith("application/problem+json")
    assert set(PROBLEM["required"]) <= body.keys() and body["status"] == response.status_code


def told(error: BaseException) -> str:
    inner = getattr(error, "exceptions", None)
    if inner:
        return " | ".join(told(one) for one in inner[:3])
    return f"{type(error).__name__}: {str(error)[:600]}"


def test_the_operations_are_all_there():
    assert all(isinstance(one, Operation) for one in operations()) and len(operations()) > 50
