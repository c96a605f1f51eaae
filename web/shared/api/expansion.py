"""`?expand=contact`: an id becomes the object it names, for whoever may see that object.

A serializer says which of its fields can be expanded and into what:

    class CaseBody(ModelBody):
        expandable = {"contact": "web.tenant.contacts.api.serializers.ContactSummary"}

It happens on the finished answer: the ids of a whole page are gathered, their rows read with one query per
name (two when the summary prefetches), and put in place of the ids. Who may see the row decides its
entity (web.shared.core.entities) when its model is one, else `expand_code` of the summary; an id that leads
to nothing this viewer may see stays an id, so that expanding opens no door.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.db.models import QuerySet
from django.utils.module_loading import import_string

from web.shared.accounts.registry import MEMBER
from web.shared.api.problems import FieldError, Malformed
from web.shared.core import entities
from web.shared.core.viewer import Viewer, viewer_in

MOST = 5
"""More names in one request than this are refused."""


def chosen(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """The names in `?expand=`. Malformed for one that is not in `known`, or for more than MOST."""
    names = tuple(dict.fromkeys(text.split(",")))
    if len(names) > MOST or not set(names) <= set(known):
        listed = ", ".join(sorted(known)) or "none here"
        raise Malformed(
            "This cannot be expanded.", errors=[FieldError("?expand", "unknown_field", f"Known: {listed}.")]
        )
    return names


def fill(
    items: list[Any],
    names: Iterable[str],
    expandable: Mapping[str, str],
    context: Mapping[str, Any],
) -> None:
    """Put objects in place of ids in `items`, which are serialized rows of one resource."""
    for name in names:
        found = {key for item in items for key in _ids(item.get(name))}
        if found:
            objects = _objects(expandable[name], found, context)
            for item in items:
                if name in item:
                    item[name] = _replaced(item[name], objects)


def _ids(value: Any) -> list[str]:
    """The ids in a field's value: an id, {"id": ...}, or a list of these."""
    if isinstance(value, list):
        return [key for one in value for key in _ids(one)]
    key = value.get("id") if isinstance(value, Mapping) else value
    return [] if key is None else [str(key)]


def _replaced(value: Any, objects: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_replaced(one, objects) for one in value]
    keys = _ids(value)
    return objects.get(keys[0], value) if keys else value


def _objects(path: str, keys: set[str], context: Mapping[str, Any]) -> dict[str, Any]:
    body = _serializer(path)
    viewer = viewer_in(context)
    rows = _rows(body, viewer)
    if rows is None:
        return {}
    rows = rows.filter(pk__in=[uuid.UUID(key) for key in keys])
    rows = rows.select_related(*getattr(body, "expand_select", ()))
    rows = rows.prefetch_related(*getattr(body, "expand_prefetch", ()))
    inner = {name: value for name, value in context.items() if name not in ("fields", "expand")}
    return {str(row.pk): body(row, context=inner).data for row in rows}


def _rows(body: Any, viewer: Viewer) -> QuerySet[Any] | None:
    """The rows of the summary's model that this viewer may see; None for none."""
    model = body.Meta.model
    for name in entities.names():
        if entities.get(name).model.lower() == model._meta.label_lower:
            return entities.get(name).rows(viewer)
    code: str = getattr(body, "expand_code", "")
    if not code:
        raise TypeError(f"{body.__name__} is expanded: its model needs an entity, or it an expand_code")
    if code == MEMBER:
        everybody: QuerySet[Any] = model._default_manager.all()
        return everybody
    return viewer.narrow(model._default_manager.all(), code, *getattr(body, "expand_owners", ()))


@cache
def _serializer(path: str) -> Any:
    return import_string(path)
