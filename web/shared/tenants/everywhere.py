"""In which tenants is something to be done? Asked of many schemas in one message.

What beat and the intake look for, again and again, is rarely there. Asked tenant by tenant, each question
costs two trips and Django's building of a query, two hundred times over; here the query is built once and the
schema chosen anew before each copy of it, all in one message and one transaction. What comes back is ids:
whoever acts on one does it inside `tenant_context`, as always.

    tenants_where(tenant_ids(), Delivery.objects.filter(...), Escalation.objects.filter(...))

A tenant that is just being made has no tables yet: it is passed over, without hiding the others. So is one
that cannot be asked for another reason, and that is an error in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from django.db import ProgrammingError, connection, transaction
from django.db.models import QuerySet

from web.shared.tenants.context import public_context
from web.shared.tenants.ids import PUBLIC, TenantId, as_tenant_id

AT_ONCE = 50
"""Tenants in one message: a long one would keep a connection from everything else."""

Condition = QuerySet[Any] | tuple[str, Sequence[Any]]
"""Rows of a tenant's schema, of which one is enough; or SQL that is true or false there, and parameters."""

_CHOOSE = "SET LOCAL search_path = {}, public, extensions; SET LOCAL murima.tenant = '{}';"

logger = structlog.get_logger("murima.tenants")


def tenants_where(ids: Sequence[str], *conditions: Condition) -> list[TenantId]:
    """Those of `ids` in whose schema any of the conditions holds, in their order.

    SQL may say `current_setting('murima.tenant')`, and the log's row security shows the tenant's own rows.
    """
    known = [as_tenant_id(one) for one in ids]
    with public_context():
        asked = " OR ".join(f"({_sql(condition)})" for condition in conditions)
        return [
            tenant
            for start in range(0, len(known), AT_ONCE)
            for tenant in _found(known[start : start + AT_ONCE], asked)
        ]


def _sql(condition: Condition) -> str:
    if isinstance(condition, tuple):
        sql, parameters = condition
    else:
        inner, parameters = condition.order_by().query.exists().get_compiler(connection.alias).as_sql()
        sql = f"EXISTS ({inner})"
    with connection.cursor() as cursor:
        composed: str = cursor.mogrify(sql, parameters)
    return composed


def _found(ids: Sequence[TenantId], asked: str) -> Iterator[TenantId]:
    try:
        yield from _ask(ids, asked)
    except ProgrammingError as error:
        if len(ids) > 1:
            half = len(ids) // 2
            yield from _found(ids[:half], asked)
            yield from _found(ids[half:], asked)
        else:
            # Not yet made, or not yet migrated to what is asked about; said loudly when it is neither.
            said = logger.error if _has_tables(ids[0]) else logger.info
            said("tenant_passed_over", tenant=ids[0], error=type(error).__name__)


def _has_tables(tenant: TenantId) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{tenant}.django_migrations"])
        return bool(cursor.fetchone()[0])


def _ask(ids: Sequence[TenantId], asked: str) -> list[TenantId]:
    statements = "".join(f"{_CHOOSE.format(one, one)}SELECT {asked};" for one in ids)
    with transaction.atomic(), connection.cursor() as cursor:
        # What is chosen ends with the transaction; inside a longer one of the caller's, with the last words.
        cursor.execute(statements + _CHOOSE.format(PUBLIC, ""))
        answers = [cursor.fetchone()[0] for _ in _results(cursor)]
    return [one for one, answer in zip(ids, answers, strict=True) if answer]


def _results(cursor: Any) -> Iterator[None]:
    """Each result that has rows; the others are of SET."""
    while True:
        if cursor.description is not None:
            yield
        if not cursor.nextset():
            return
