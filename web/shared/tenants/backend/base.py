"""A PostgreSQL connection that knows no schema until it is told one.

django_tenants starts every connection in `public`, so a thread that forgot to choose a tenant reads there
in silence. Here a connection starts with nothing chosen, and any statement before the choice raises
SchemaNotChosen: `tenant_context`, `public_context` or `tenant_db` (web.shared.tenants.context) make it.

Only `public` and generated tenant ids can be chosen, so no text from outside ever reaches SET search_path.
A cursor names the path with every statement (`cursor`), so nothing that was set before can lead astray
(TENANT_LIMIT_SET_CALLS, which trusts that, is refused by a check).

A connection that comes from the pool is looked at unless it was in use a moment ago. One that is dead is
replaced at once by the next: after PostgreSQL was started anew all of them are, and psycopg's own check lets
ever longer pauses lie between two dead ones, so that a full pool answered nobody for more than ten seconds.

A thread that ends gives its connections back to the pool, also when nobody closed them: Django forgets such a
connection, and the pool would count it as taken for ever. What a thread holds open lies in its local storage,
which Python empties in that very thread before `join` returns.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import psycopg
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import NO_DB_ALIAS
from django_tenants.postgresql_backend import base as upstream
from django_tenants.utils import quote_schema_name
from psycopg_pool import ConnectionPool

from web.shared.tenants.backend.cursor import Cursor, Operations
from web.shared.tenants.backend.editor import SchemaEditor
from web.shared.tenants.ids import PUBLIC, is_tenant_id

CHECK_AFTER_SECONDS = 0.25
"""PostgreSQL does not go and come back faster than this: who used a connection just now saw it alive."""

logger = structlog.get_logger("murima.tenants")


class SchemaNotChosen(ImproperlyConfigured):
    """A statement was about to run on a connection for which nobody had chosen a tenant (or public)."""


class _Held(set["DatabaseWrapper"]):
    """The connections that one thread has open; they go back when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.process = os.getpid()

    def __del__(self) -> None:
        # A forked child inherits the storage of threads that it does not have; the parent still uses them.
        if sys.is_finalizing() or os.getpid() != self.process:
            return
        for wrapper in list(self):
            try:
                wrapper.close()
            except Exception as error:  # nobody is left who could be told
                logger.warning("connection_not_given_back", error=type(error).__name__)


class _Here(threading.local):
    def __init__(self) -> None:
        self.held = _Held()


_here = _Here()


def _answers(found: Any) -> bool:
    if time.monotonic() - getattr(found, "used_at", float("-inf")) < CHECK_AFTER_SECONDS:
        return True
    try:
        ConnectionPool.check_connection(found)
    except psycopg.Error:
        return False
    return True


class DatabaseWrapper(upstream.DatabaseWrapper):  # type: ignore[misc]
    """django_tenants' connection, closed by default."""

    SchemaEditorClass = SchemaEditor
    ops_class = Operations

    tenant: Any
    schema_name: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django's own connection to the maintenance database, used to create and drop test databases.
        if self.alias != NO_DB_ALIAS:
            self.forget_schema()

    def forget_schema(self) -> None:
        """Back to knowing nothing: the next statement raises."""
        self.tenant = None
        self.schema_name = None
        self.search_path_set_schemas = None
        self.settings_dict.pop("SCHEMA", None)

    def set_tenant(self, tenant: Any, include_public: bool = True) -> None:
        """Choose the schema of `tenant` (anything with `schema_name`). ValueError for a strange name."""
        name = tenant.schema_name
        if name != PUBLIC and not is_tenant_id(name):
            raise ValueError(f"{name!r} is neither public nor a tenant id")
        self.tenant = tenant
        self.schema_name = name
        self.include_public_schema = include_public
        self.set_settings_schema(name)
        self.search_path_set_schemas = None
        # Upstream clears ContentType's cache here because ids could differ between schemas. Ours is one
        # shared table, so ids are equal everywhere and the cache stays.

    def get_connection_params(self) -> Any:
        return super().get_connection_params() | {"cursor_factory": Cursor}

    def get_new_connection(self, conn_params: Any) -> Any:
        """A connection that answers. More dead ones than the pool holds cannot come; after as many, the last
        is given out as it is, and its first statement says what is wrong."""
        found = super().get_new_connection(conn_params)
        for _ in range(self.pool.max_size if self.pool else 0):
            if _answers(found):
                break
            self.pool.putconn(found)
            found = super().get_new_connection(conn_params)
        return found

    def connect(self) -> None:
        super().connect()
        _here.held.add(self)

    def _close(self) -> None:
        if self.connection is not None:
            self.connection.used_at = time.monotonic()
        try:
            super()._close()
        finally:
            _here.held.discard(self)

    def check_constraints(self, table_names: Any = None) -> None:
        # SET CONSTRAINTS ALL names no table, so it may run with nothing chosen (Django's tests end with it).
        chosen: Any = self.tenant
        if chosen is None:
            self.set_schema_to_public()
        try:
            super().check_constraints(table_names)
        finally:
            if chosen is None:
                self.forget_schema()

    def _cursor(self, name: str | None = None) -> Any:
        if self.schema_name is None:
            raise SchemaNotChosen(
                "This connection has no tenant. Run the query inside tenant_context(tenant_id) or "
                "public_context(), or from async code through tenant_db(tenant_id, fn)."
            )
        return super()._cursor(name)

    def _handle_search_path(self, cursor: Any = None) -> None:
        """Upstream sets the path now; ours goes with the cursor's statements. A named cursor, which can carry
        none, comes without `cursor`."""
        own = getattr(cursor, "cursor", None)
        if not isinstance(own, Cursor):
            super()._handle_search_path(cursor)
            return
        schemas = ", ".join(quote_schema_name(schema) for schema in self._get_cursor_search_paths())
        own.path = f"SET search_path = {schemas}; "
