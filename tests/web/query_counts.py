"""How many statements each reading of the API costs: a walk over every GET of the URL map, with few rows and
with many.

    MURIMA_WRITE_QUERY_COUNTS=1 pytest tests/web/test_query_counts.py     writes query_counts.json anew

The routes and the rows behind their ids come from bola.py, so a new route is walked the day it is there;
many_rows.py copies the rows.

Statements that choose a schema are not counted, nor the one that says that a session was seen, which comes
once a minute whatever is asked.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from tests.web import bola, bola_rows, query_rows
from tests.web.bola import Operation, World
from web.shared.api.expansion import MOST
from web.shared.tenants.context import tenant_context

FILE = Path(__file__).with_name("query_counts.json")
_UNCOUNTED = re.compile(r'(RELEASE )?SAVEPOINT|UPDATE "accounts_session" SET "last_seen')
_VALUE = re.compile(r"'(?:[^']|'')*'(?:::\w+)?|\b\d+\b")
_LIST = re.compile(r"IN \(\?(?:, \?)*\)")

# Not counted, each with its reason.
UNCOUNTED = {
    route: reason for route, reason in bola_rows.UNWALKED.items() if route.startswith(("auth:", "documents:"))
} | {"jobs:job-file": bola_rows.UNWALKED["jobs:job-file"]}


@dataclass(frozen=True)
class Reading:
    """One GET: a route, perhaps with everything expanded that it can expand."""

    operation: Operation
    query: str = ""

    @property
    def name(self) -> str:
        return self.operation.route + self.query.partition("=")[0]

    def url(self, world: World) -> str:
        asked = self.query or query_rows.QUERIES.get(self.operation.route, "")
        return self.operation.url(world.ids(self.operation)) + asked


@dataclass
class Cost:
    """What a reading cost, and the answer's rows (-1 when it is no list)."""

    statements: list[str]
    status: int
    rows: int

    @property
    def shapes(self) -> Counter[str]:
        """How often each statement came, whatever values it named."""
        return Counter(_LIST.sub("IN (?)", _VALUE.sub("?", one)) for one in self.statements)


def readings() -> Iterator[Reading]:
    """Every GET of a tenant's host, and again with `?expand=` where there is something to expand."""
    for operation in bola.operations():
        if operation.method != "GET" or operation.route in UNCOUNTED:
            continue
        yield Reading(operation)
        view: Any = resolve(operation.url({}), bola.URLCONF).func
        expandable = getattr(getattr(getattr(view, "cls", None), "serializer_class", None), "expandable", {})
        if expandable and getattr(view, "actions", {}).get("get") in ("list", "retrieve"):
            yield Reading(operation, f"?expand={','.join(sorted(expandable)[:MOST])}")


def make_rows(world: World) -> list[str]:
    """One row of every kind that a reading shows. Returns what could not be made."""
    missing = []
    for reading in readings():
        operation = reading.operation
        try:
            world.ids(operation)
            kind = operation.route.rpartition("-")[0]
            if operation.route.endswith("-list") and _is_made(kind):
                world.row(kind)
            if operation.route in query_rows.ALSO and not reading.query:
                with tenant_context(world.tenant.pk):
                    query_rows.ALSO[operation.route](world)
        except (LookupError, AssertionError) as error:
            missing.append(f"{operation}: {error}")
    return missing


def _is_made(kind: str) -> bool:
    posted = {one.route for one in bola.operations() if one.method == "POST"}
    return kind in bola_rows.BOLA_ROWS or f"{kind}-list" in posted


def cost_of_few(client: Any, url: str) -> Cost:
    """What a page of two rows costs; the whole answer where there are no pages."""
    page = f"{url}{'&' if '?' in url else '?'}limit=2"
    return cost(client, url if client.get(page).status_code == 400 else page)


def cost(client: Any, url: str) -> Cost:
    """What the second of two equal requests costs: the first fills what a process keeps."""
    client.get(url)
    with CaptureQueriesContext(connection) as said:
        answer = client.get(url)
    statements = [one["sql"] for one in said if not _UNCOUNTED.match(one["sql"])]
    rows = -1
    if answer.get("Content-Type", "").startswith("application/json"):
        body = answer.json()
        data = body.get("data") if isinstance(body, dict) else body
        rows = len(data) if isinstance(data, list) else -1
    return Cost(statements, answer.status_code, rows)


def pinned() -> dict[str, dict[str, int]]:
    """Role → reading → statements, as committed."""
    found: dict[str, dict[str, int]] = json.loads(FILE.read_text())
    return found


def pin(counts: dict[str, dict[str, int]]) -> None:
    FILE.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
