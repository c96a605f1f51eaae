"""Who points at reference data.

Foreign keys are found by themselves: every model of the apps above whose field leads to a row here counts as
its user. Whoever keeps an id or a code in another way (in JSON, as text) says so in `ready()`:

    references.users("reference_item", "locations", count=fn(id) -> int, move=fn(from, to, actor) -> int)

Users keep a row from being deleted (409 with the counts), and follow it when it is merged. Deleted rows count
too: they keep their keys. Kinds are the models' `event_name`s.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import F
from django.utils import timezone

from web.shared.core.actor import Actor
from web.tenant.reference_data.queries import MODELS

Count = Callable[[uuid.UUID], int]
Move = Callable[[uuid.UUID, uuid.UUID, Actor], int]


@dataclass(frozen=True, slots=True)
class Users:
    """`count(id)` → how many rows point there. `move(from, to, actor)` → how many it moved."""

    name: str
    count: Count
    move: Move


_users: dict[str, list[Users]] = {}


def users(kind: str, name: str, *, count: Count, move: Move) -> None:
    """Register rows called `name` that point at rows of `kind` without a foreign key."""
    _users.setdefault(kind, []).append(Users(name, count, move))


def counts(kind: str, pk: uuid.UUID) -> dict[str, int]:
    """Who points at this row, and how often; empty when nobody does. Rows of its own tree are not counted."""
    found: Counter[str] = Counter()
    for entry in _all(kind):
        found[entry.name] += entry.count(pk)
    return {name: number for name, number in sorted(found.items()) if number}


def move_all(kind: str, from_id: uuid.UUID, to_id: uuid.UUID, actor: Actor) -> dict[str, int]:
    """Point everybody elsewhere; returns how many rows of whom were moved."""
    found: Counter[str] = Counter()
    for entry in _all(kind):
        found[entry.name] += entry.move(from_id, to_id, actor)
    return {name: number for name, number in sorted(found.items()) if number}


def _all(kind: str) -> Iterator[Users]:
    yield from _users.get(kind, [])
    target = MODELS[kind]
    for relation in target._meta.get_fields(include_hidden=True):
        field: Any = getattr(relation, "field", None)
        if relation.concrete or field is None or field.many_to_many or field.model is target:
            continue
        name = str(field.model._meta.verbose_name_plural).replace(" ", "_")
        count, move = partial(_count, field), partial(_move, field)
        yield Users(name, count, move)


def _rows(field: Any, pk: uuid.UUID) -> Any:
    manager = getattr(field.model, "all_objects", field.model._default_manager)
    return manager.filter(**{field.name: pk})


def _count(field: Any, pk: uuid.UUID) -> int:
    return int(_rows(field, pk).count())


def _move(field: Any, from_id: uuid.UUID, to_id: uuid.UUID, actor: Actor) -> int:
    values: dict[str, Any] = {field.attname: to_id}
    if {"revision", "updated_at"} <= {one.name for one in field.model._meta.fields}:
        # Whoever read the row before has its old ETag.
        values |= {"revision": F("revision") + 1, "updated_at": timezone.now()}
    return int(_rows(field, from_id).update(**values))
