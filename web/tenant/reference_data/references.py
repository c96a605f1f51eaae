"""Who points at reference data.

Apps above this one hold keys to categories, priorities and places. Each says so in `ready()`:

    references.users_by_field("case_category", "cases", "cases.Case", "category")

and gets for it: no delete while something points there (409 with the counts), and merges that move its rows.
`count` and `move` see deleted rows too: they keep their keys. Kinds are the models' `event_name`s.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import F
from django.utils import timezone

from web.shared.core.actor import Actor

Count = Callable[[uuid.UUID], int]
Move = Callable[[uuid.UUID, uuid.UUID, Actor], int]

KINDS = ("case_category", "priority", "location", "reference_category", "reference_item")


@dataclass(frozen=True, slots=True)
class Users:
    """`count(id)` → how many rows point there. `move(from, to, actor)` → how many it moved."""

    count: Count
    move: Move


_users: dict[str, dict[str, Users]] = {kind: {} for kind in KINDS}


def users(kind: str, name: str, *, count: Count, move: Move) -> None:
    """Register rows called `name` that point at rows of `kind`. KeyError for a kind there is not."""
    _users[kind].setdefault(name, Users(count, move))


def users_by_field(kind: str, name: str, model: str, field: str) -> None:
    """The usual case: `field` of `model` ("cases.Case") is the key."""

    def rows(pk: uuid.UUID) -> Any:
        found = apps.get_model(model)
        return getattr(found, "all_objects", found._default_manager).filter(**{field: pk})

    def move(from_id: uuid.UUID, to_id: uuid.UUID, actor: Actor) -> int:
        values: dict[str, Any] = {f"{field}_id": to_id}
        names = {one.name for one in apps.get_model(model)._meta.get_fields()}
        if {"revision", "updated_at"} <= names:
            values |= {"revision": F("revision") + 1, "updated_at": timezone.now()}
        return int(rows(from_id).update(**values))

    users(kind, name, count=lambda pk: int(rows(pk).count()), move=move)


def counts(kind: str, pk: uuid.UUID) -> dict[str, int]:
    """Who points at this row, and how often; empty when nobody does."""
    found = {name: entry.count(pk) for name, entry in sorted(_users[kind].items())}
    return {name: number for name, number in found.items() if number}


def move_all(kind: str, from_id: uuid.UUID, to_id: uuid.UUID, actor: Actor) -> dict[str, int]:
    """Point everybody elsewhere; returns how many rows of whom were moved."""
    found = {name: entry.move(from_id, to_id, actor) for name, entry in sorted(_users[kind].items())}
    return {name: number for name, number in found.items() if number}
