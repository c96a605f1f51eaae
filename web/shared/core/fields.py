"""Fields that Django does not have."""

from __future__ import annotations

from typing import Any

from django.db import models


class TransactionId(models.Field):  # type: ignore[type-arg]
    """PostgreSQL's xid8: which transaction wrote the row. Filled by the database."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def from_db_value(self, value: Any, *_: Any) -> int | None:
        return None if value is None else int(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return None if value is None else str(value)


class CurrentTransaction(models.Func):
    function = "pg_current_xact_id"
    arity = 0
