"""The things of the domain that others may point at without knowing their app.

A workflow runs on "an entity", a document hangs on one, a notification leads to one. Such a reference is a
name and an id. Each app registers its entities in `ready()`; who follows a reference asks here and gets the
row only if the viewer may see it, so a generic reference opens no door that the entity's own API keeps shut.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Q, QuerySet, Subquery

from web.shared.core.viewer import Viewer

Visible = Callable[[QuerySet[Any], Viewer], QuerySet[Any]]
Facts = Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Entity:
    """`code`: the permission to see one. `visible(queryset, viewer)` narrows. `facts(row)` is what conditions
    may ask about: {"case.priority": "high"}. `contact(row)` is the id of the person it is about, or None."""

    name: str
    model: str
    code: str
    visible: Visible
    facts: Facts
    contact: Callable[[Any], uuid.UUID | None]

    def rows(self, viewer: Viewer) -> QuerySet[Any]:
        """The rows that are not deleted and that this viewer may see."""
        rows: QuerySet[Any] = apps.get_model(self.model)._default_manager.all()
        return self.visible(rows, viewer) if viewer.may(self.code) else rows.none()


class UnknownEntity(LookupError):
    """There is no such kind of thing, or no such row for this viewer; which of the two is not said."""


_entities: dict[str, Entity] = {}


def entity(
    name: str,
    *,
    model: str,
    code: str,
    visible: Visible | None = None,
    facts: Facts | None = None,
    contact: Callable[[Any], uuid.UUID | None] | None = None,
) -> Entity:
    """Register an entity; the same name twice is an error."""
    if name in _entities:
        raise ValueError(f"the entity {name} is registered twice")
    made = Entity(
        name=name,
        model=model,
        code=code,
        visible=visible or (lambda queryset, viewer: viewer.narrow(queryset, code)),
        facts=facts or (lambda row: {}),
        contact=contact or (lambda row: None),
    )
    _entities[name] = made
    return made


def names() -> list[str]:
    return sorted(_entities)


def get(name: str) -> Entity:
    """Raises UnknownEntity."""
    try:
        return _entities[name]
    except KeyError:
        raise UnknownEntity(f"There is no entity called {name}; known: {', '.join(names())}.") from None


def may_be_seen(name: str, column: str, viewer: Viewer) -> Q:
    """The condition that the row whose id is in `column` is there and may be seen by this viewer.

    As "is it itself, looked up by its id": of an IN or an EXISTS that stands beside an OR, PostgreSQL makes a
    list of everything it might name, all cases of a tenant for a page of fifty tasks.
    """
    rows = get(name).rows(viewer).order_by().filter(pk=OuterRef(column))
    return Q(**{column: Subquery(rows.values("pk")[:1])})


def row(name: str, pk: uuid.UUID | str, viewer: Viewer) -> Any:
    """The row, when this viewer may see it. Raises UnknownEntity."""
    try:
        found = get(name).rows(viewer).filter(pk=pk).first()
    except (ValueError, ValidationError):
        found = None
    if found is None:
        raise UnknownEntity(f"There is no such {name}.")
    return found


def facts_of(name: str, row: Any) -> dict[str, Any]:
    """What conditions may ask about `row`, each key beginning with the entity's name and a dot."""
    return {f"{name}.{key}": value for key, value in get(name).facts(row).items()}
