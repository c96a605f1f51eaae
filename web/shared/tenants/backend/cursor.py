"""A cursor that belongs to the schema chosen when it was made, and says so with every statement.

django_tenants sends SET search_path as a statement of its own ahead of each cursor's first one. That asks
PostgreSQL twice for everything, and whatever comes in between (another cursor, a savepoint's rollback, a
pooler that shares sessions) moves the second question to another tenant. Here the path and a statement that
reads or writes rows are one message, which PostgreSQL takes as one. Every other statement has the path sent
ahead of it, because some may not share a message; those that steer a transaction go without, because in a
failed one PostgreSQL takes nothing else.
"""

from __future__ import annotations

import re
from typing import Any, Self

from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations

_Upstream: Any = base.Cursor  # psycopg's client cursor, which the types of Django do not know

_ROWS = re.compile(r"\s*\(*\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_TRANSACTION = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)


class Cursor(_Upstream):  # type: ignore[misc]
    """`path` is the statement that chooses the schema; without one this is Django's own cursor."""

    path = ""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        text = query if isinstance(query, str) else ""
        if self.path and _ROWS.match(text):
            super().execute(self.path + text, params, **options)
            self.set_result(1)  # the path's own comes first
            return self
        if not _TRANSACTION.match(text):
            self._go_there()
        super().execute(query, params, **options)
        return self

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        self._go_there()
        super().executemany(query, params_seq, **options)

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        self._go_there()
        return super().copy(statement, params, **options)

    def stream(self, query: Any, params: Any = None, **options: Any) -> Any:
        self._go_there()
        return super().stream(query, params, **options)

    def _go_there(self) -> None:
        if self.path:
            super().execute(self.path)


class Operations(DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> str:
        """Without the path: logs and tests show what was asked."""
        said = super().last_executed_query(cursor, sql, params)
        return said and said.removeprefix(getattr(cursor, "path", ""))
