"""Whose is it? A walk over every operation of the API with ids that belong to somebody else.

The operations come from the API's own description and the URL map, so a new one is walked the day it is
there. What the walk cannot know is which row an id names: `bola_rows.py` says for each kind of row how to
make one, and for each id in a path, a query or a body which kind it is. An id without an entry fails.

Each request is made with tenant A's administrator, who lacks no permission, and ids of tenant B: 404 for one
in the path; for one in a body a 422 that points at it with `does_not_exist`, told in the words that an id of
nobody gets; for one in a query the empty list of such an id. Both schemas are compared before and after.
"""

from __future__ import annotations

import contextlib
import copy
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator

from tests.web import bola_rows as rows
from web.shared.accounts import registry
from web.shared.api.examples import example_of
from web.shared.tenants.context import public_context, tenant_context

URLCONF = "config.urls_tenant"
NOBODY = uuid.UUID("00000000-0000-7000-8000-000000000000")


@dataclass(frozen=True)
class Field:
    """An id somewhere in a body: the way to it (names, and 0 for a list's first), as a JSON pointer too."""

    path: tuple[str | int, ...]

    @property
    def pointer(self) -> str:
        return "".join(f"/{part}" for part in self.path)

    @property
    def name(self) -> str:
        """The last name on the way, which is what the field is called."""
        return str([part for part in self.path if isinstance(part, str)][-1])


@dataclass(frozen=True)
class Operation:
    """One method of one path of the description."""

    method: str
    path: str
    route: str
    params: tuple[str, ...]
    queries: tuple[str, ...]
    media: str
    body: dict[str, Any] = field(hash=False, compare=False)
    fields: tuple[Field, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def code(self) -> str:
        return registry.code_for_route(self.route, self.method) or ""

    def url(self, ids: dict[str, Any]) -> str:
        return self.path.format(**{name: ids.get(name, NOBODY) for name in self.params})


@cache
def operations() -> list[Operation]:
    """Every operation of a tenant's API."""
    description = SchemaGenerator(urlconf=URLCONF).get_schema(request=None, public=True)
    components = description["components"]["schemas"]
    found = []
    for path, methods in description["paths"].items():
        example = re.sub(r"\{[^}]+\}", str(NOBODY), path)
        for method, said in methods.items():
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            parameters = said.get("parameters", [])
            media, schema = _body(said)
            found.append(
                Operation(
                    method=method.upper(),
                    path=path,
                    route=resolve(example, URLCONF).view_name,
                    params=tuple(one["name"] for one in parameters if one["in"] == "path"),
                    queries=tuple(one["name"] for one in parameters if one["in"] == "query" and _is_id(one)),
                    media=media,
                    body=_writable(schema, components),
                    fields=tuple(Field(way) for way in _ids(schema, components, ())),
                )
            )
    return found


def _body(said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    content = said.get("requestBody", {}).get("content", {})
    for media in ("application/json", *content):
        if media in content:
            return media, content[media].get("schema", {})
    return "", {}


def _is_id(parameter: dict[str, Any]) -> bool:
    schema = parameter.get("schema", {})
    return "uuid" in (schema.get("format"), schema.get("items", {}).get("format"))


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    for joined in ("oneOf", "anyOf", "allOf"):
        options = [one for one in schema.get(joined, []) if one.get("type") != "null"]
        if options:
            return _resolved(options[0], components)
    return schema


def _ids(
    schema: dict[str, Any], components: dict[str, Any], way: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    schema = _resolved(schema, components)
    if schema.get("readOnly") or len(way) > 8:
        return
    if schema.get("format") == "uuid" and way:
        yield way
    for name, inner in schema.get("properties", {}).items():
        if not inner.get("readOnly"):
            yield from _ids(inner, components, (*way, name))
    if "items" in schema and schema.get("type") == "array":
        yield from _ids(schema["items"], components, (*way, 0))


def _writable(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """The smallest body that the description calls whole: what is required, with examples."""
    schema = _resolved(schema, components) if schema else {}
    made: dict[str, Any] = {}
    for name in schema.get("required", []):
        inner = schema.get("properties", {}).get(name, {})
        if not inner.get("readOnly"):
            made[name] = example_of(inner, components, name)
    return made


def placed(body: dict[str, Any], way: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of `body` with `value` at the end of `way`, and what is missing on it made."""
    made = copy.deepcopy(body)
    here: Any = made
    for part, following in zip(way, (*way[1:], None), strict=True):
        inner: Any = value if following is None else [] if following == 0 else {}
        if part == 0:
            if not here:
                here.append(inner)
            elif following is None:
                here[0] = inner
            here = here[0]
        else:
            if following is None or not isinstance(here.get(part), list | dict) or not here[part]:
                here[part] = inner
            here = here[part]
    return made


class World:
    """One tenant's rows of every kind, made when first asked for, and its people's clients."""

    def __init__(self, tenant: Any, make_user: Callable[..., Any], api: Callable[..., Any]) -> None:
        self.tenant, self._make_user, self._api = tenant, make_user, api
        self._rows: dict[str, str] = {}
        self._clients: dict[str, Any] = {}
        self._users: dict[str, Any] = {}

    def user(self, role: str = "admin") -> Any:
        if role not in self._users:
            self._users[role] = self._make_user(role, tenant=self.tenant)
        return self._users[role]

    def client(self, role: str = "admin") -> Any:
        if role not in self._clients:
            self._clients[role] = self._api(self.user(role), tenant=self.tenant)
        return self._clients[role]

    def nobody(self) -> Any:
        return self._api(tenant=self.tenant)

    def row(self, kind: str) -> str:
        """The id of this tenant's row of that kind: as bola_rows makes one, else by the smallest POST to
        `<kind>-list`. LookupError when neither is to be had."""
        if kind not in self._rows:
            with tenant_context(self.tenant.pk):
                said = rows.BOLA_ROWS.get(kind.partition("#")[0])
                made = self._posted(kind) if said is None else said(self)
            self._rows[kind] = str(made)
        return self._rows[kind]

    def _posted(self, wanted: str) -> str:
        """`wanted` may end in `#2`: another row of that kind, with other texts."""
        kind, _, another = wanted.partition("#")
        for one in operations():
            if (one.route, one.method) == (f"{kind}-list", "POST") and one.media == "application/json":
                body = self.body(one)
                if another:
                    body |= {name: body[name] + another for name in ("name", "code", "title") if name in body}
                answer = self.client().post(one.url(self.ids(one)), body)
                if answer.status_code == 201:
                    return str(answer.json()["id"])
                raise LookupError(f"bola_rows.BOLA_ROWS or BODIES needs {kind}: {answer.content[-300:]!r}")
        raise LookupError(f"bola_rows.BOLA_ROWS has no entry for {kind}")

    def body(self, operation: Operation) -> dict[str, Any]:
        """A body that this tenant's administrator may send: their own rows wherever an id is asked."""
        said = rows.BODIES.get(operation.route)
        if said is not None:
            return dict(said(self) if callable(said) else said)
        body = dict(operation.body)
        for one in operation.fields:
            if one.path[0] in body:
                kind = kind_of_field(operation, one.name)
                body = placed(body, one.path, self.row(kind) if kind else str(uuid.uuid4()))
        return body

    def post(self, url: str, body: dict[str, Any], **extra: Any) -> str:
        """Make a row over HTTP as the administrator; returns its id."""
        answer = self.client().post(url, body, **extra)
        assert answer.status_code in (200, 201, 202), (url, answer.content)
        return str(answer.json()["id"])

    def ids(self, operation: Operation) -> dict[str, str]:
        """This tenant's row for each id in the operation's path."""
        return {name: self.row(kind_of_param(operation, name)) for name in operation.params}


def kind_of_param(operation: Operation, name: str) -> str:
    """Which kind of row a path's id names: said in PATHS, else what the route is called after."""
    said = rows.PATHS.get((operation.route, name)) or rows.PATHS.get(("*", name))
    return said or operation.route.rpartition("-")[0]


def kind_of_field(operation: Operation, name: str) -> str:
    """Which kind of row an id in a body or a query names; "" for one that names no row. LookupError."""
    for key in ((operation.route, name), ("*", name)):
        if key in rows.FIELDS:
            return rows.FIELDS[key]
    raise LookupError(f"bola_rows.FIELDS has no entry for {name!r} of {operation}")


# Tables that note when somebody was last seen, which reading does too.
SEEN = frozenset({"accounts_session", "api_apikey"})


class Watch:
    """Sees whether anything was written in some schemas since `start`.

    PostgreSQL counts the writes of a transaction by itself; only when that count has moved (a write that was
    undone moves it, too) are the rows of all tables compared.
    """

    def __init__(self, schemas: list[str]) -> None:
        self._schemas, self._writes, self._rows = schemas, -1, {"": ""}

    def start(self) -> None:
        if self._count() != self._writes:
            self._rows, self._writes = self._read(), self._count()

    def changed(self) -> list[str]:
        """The tables whose rows are not what they were at `start`."""
        if self._count() == self._writes:
            return []
        before, self._rows, self._writes = self._rows, self._read(), self._count()
        return sorted(table for table in self._rows if before.get(table) != self._rows[table])

    def _count(self) -> int:
        with public_context(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables "
                "WHERE schemaname = ANY(%s)",
                [self._schemas],
            )
            return int(cursor.fetchone()[0])

    def _read(self) -> dict[str, str]:
        with public_context(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s) AND "
                "has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'SELECT')",
                [self._schemas],
            )
            parts = [
                f"SELECT '{schema}.{table}', count(*)::text || md5(string_agg(t::text, '' ORDER BY t::text)) "
                f'FROM "{schema}"."{table}" t'
                for schema, table in cursor.fetchall()
                if table not in SEEN
            ]
            cursor.execute(" UNION ALL ".join(parts))
            return dict(cursor.fetchall())


class undone:
    """`with undone(): ...`: whatever is written inside is rolled back."""

    def __enter__(self) -> None:
        self._parts = contextlib.ExitStack()
        self._parts.enter_context(public_context())
        self._parts.enter_context(transaction.atomic())

    def __exit__(self, *error: Any) -> None:
        transaction.set_rollback(True)
        self._parts.close()
