"""Rows as JSON, and back: how a merge remembers what it changed.

`take` reads whole rows of some tables, `difference` keeps those that a change added, removed or altered, and
`restore` puts the rows as they were, unless one of them is no longer as the change left it: then nothing is
touched and the names of what stands in the way come back. Rows that came later are nobody's business here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import Q

Rows = dict[str, dict[str, Any]]
"""pk → {column: JSON value}"""
MOVING = {"revision", "updated_at", "updated_by_id"}
"""What every save moves; neither compared nor put back."""


def take(model: type[models.Model], condition: Q) -> Rows:
    """Rows of `model` that meet `condition`, deleted ones included."""
    manager: Any = getattr(model, "all_objects", None) or model._default_manager
    columns = [field.attname for field in model._meta.concrete_fields if field.attname not in MOVING]
    found = manager.filter(condition).values(*columns)
    as_json = json.loads(json.dumps({str(row["id"]): row for row in found}, default=_json))
    return dict(as_json)


def _json(value: Any) -> str:
    """Instants to the microsecond, which Django's own encoder cuts."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def difference(before: Rows, after: Rows) -> dict[str, Rows]:
    """{"before": rows that were altered or removed, "after": rows that were altered or added}."""
    differing = {pk for pk in before.keys() | after.keys() if before.get(pk) != after.get(pk)}
    return {
        "before": {pk: before[pk] for pk in sorted(differing) if pk in before},
        "after": {pk: after[pk] for pk in sorted(differing) if pk in after},
    }


def narrowed(change: Mapping[str, Rows]) -> dict[str, Rows]:
    """The same with only the columns that differ, for a row whose other columns may change later."""
    before, after = change["before"], change["after"]
    kept: dict[str, Rows] = {"before": {}, "after": {}}
    for pk in before.keys() & after.keys():
        names = [name for name in before[pk] if before[pk][name] != after[pk].get(name)]
        kept["before"][pk] = {name: before[pk][name] for name in names}
        kept["after"][pk] = {name: after[pk][name] for name in names}
    return kept


def in_the_way(model: type[models.Model], change: Mapping[str, Rows]) -> list[tuple[str, list[str]]]:
    """(pk, names of columns) of rows that are no longer as the change left them; [] for a row that went."""
    now = take(model, Q(pk__in=list(change["before"].keys() | change["after"].keys())))
    found: list[tuple[str, list[str]]] = []
    for pk, wanted in change["after"].items():
        if pk not in now:
            found.append((pk, []))
        elif names := [name for name, value in wanted.items() if now[pk].get(name) != value]:
            found.append((pk, sorted(names)))
    # What the change removed must still be gone.
    found += [(pk, []) for pk in change["before"] if pk not in change["after"] and pk in now]
    return found


def restore(model: type[models.Model], change: Mapping[str, Rows]) -> None:
    """Put the rows back. Call it when nothing is in the way."""
    manager: Any = getattr(model, "all_objects", None) or model._default_manager
    before, after = change["before"], change["after"]
    manager.filter(pk__in=[pk for pk in after if pk not in before]).delete()
    # First what loses a mark that only one row may have, then what gets it.
    for pk in sorted(before.keys() & after.keys(), key=lambda one: bool(before[one].get("is_primary"))):
        manager.filter(pk=pk).update(**_values(model, before[pk]))
    missing = [before[pk] for pk in before if pk not in after]
    for row in missing:
        fresh = model(**_values(model, row))
        fresh.save_base(raw=True, force_insert=True)
        # What the database or a default fills at insertion is put back as well.
        manager.filter(pk=fresh.pk).update(**_values(model, row))


def _values(model: type[models.Model], row: Mapping[str, Any]) -> dict[str, Any]:
    fields = {field.attname: field for field in model._meta.concrete_fields}
    return {name: _python(fields[name], value) for name, value in row.items() if name in fields}


def _python(field: Any, value: Any) -> Any:
    if value is None or isinstance(field, models.JSONField):
        return value
    return getattr(field, "target_field", field).to_python(value)
