"""Trees by `parent`: who is above and below, and the lock under which they change.

One recursive query each, bounded in depth, so that even a damaged table cannot make it run for ever.
"""

from __future__ import annotations

import uuid

from django.db import connection

from web.shared.tenants.context import current_tenant_id
from web.tenant.reference_data.models import ReferenceModel

MAX_DEPTH = 8
"""Levels of a tree, the root's counted."""
_SAFETY = 64


def lock(model: type[ReferenceModel]) -> None:
    """Until the transaction ends nobody else changes this tenant's tree of this model."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"{current_tenant_id()}:{model._meta.db_table}"],
        )


def below(model: type[ReferenceModel], pk: uuid.UUID) -> dict[uuid.UUID, int]:
    """Ids of the subtree that begins at `pk`, itself included, with their distance from it."""
    table = model._meta.db_table
    return _walk(
        f"SELECT id, 0 FROM {table} WHERE id = %s AND NOT is_deleted"  # noqa: S608
        f" UNION ALL SELECT child.id, found.far + 1 FROM {table} child JOIN found"
        " ON child.parent_id = found.id WHERE NOT child.is_deleted",
        pk,
    )


def above(model: type[ReferenceModel], pk: uuid.UUID) -> dict[uuid.UUID, int]:
    """Ids from `pk` up to its root, itself included, with their distance from it."""
    table = model._meta.db_table
    return _walk(
        f"SELECT id, 0, parent_id FROM {table} WHERE id = %s"  # noqa: S608
        f" UNION ALL SELECT over.id, found.far + 1, over.parent_id FROM {table} over"
        " JOIN found ON over.id = found.parent_id WHERE TRUE",
        pk,
        columns="id, far, parent_id",
    )


def _walk(body: str, pk: uuid.UUID, columns: str = "id, far") -> dict[uuid.UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE found ({columns}) AS ({body} AND found.far < {_SAFETY})"  # noqa: S608
            " SELECT id, min(far) FROM found GROUP BY id ORDER BY min(far)",
            [pk],
        )
        return {row[0]: int(row[1]) for row in cursor.fetchall()}
