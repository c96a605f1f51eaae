"""Writing reference data.

Tree rules (no cycle, bounded depth, one category, levels in order) are looked at under the tree's lock, so
two moves at once cannot make together what neither alone may. A row that something points at is not deleted:
it is switched off, or merged into another, which moves everything that pointed at it (references.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from web.shared.api.problems import Conflict
from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.reference_data import queries, references, trees
from web.tenant.reference_data.choices import CategoryType
from web.tenant.reference_data.models import (
    Location,
    Priority,
    ReferenceData,
    ReferenceDataCategory,
    ReferenceModel,
)

R = TypeVar("R", bound=ReferenceModel)


def reference_create(model: type[R], *, actor: Actor, values: Mapping[str, Any]) -> R:
    """A new row. ValidationError names the field that breaks a rule."""
    wanted = dict(values)
    if model is Priority and not wanted.get("code"):
        wanted["code"] = _free_code(str(wanted.get("name", "")))
    with transaction.atomic(), _unique_in_the_end():
        if model.tree:
            trees.lock(model)
            _check_place(model, None, wanted)
        return base.create(model, actor=actor, values=wanted)


def reference_update(row: R, *, actor: Actor, values: Mapping[str, Any]) -> R:
    """Rename, move, switch on or off. The id stays, and so does whatever points at it."""
    model = type(row)
    with transaction.atomic(), _unique_in_the_end():
        if model.tree:
            trees.lock(model)
        locked = base.lock(model.objects.all(), pk=row.pk)
        if model.tree:
            _check_place(model, locked, values)
        if isinstance(locked, ReferenceDataCategory):
            _check_category(locked, values)
        if isinstance(locked, ReferenceData):
            _rename_level(locked, values)
        return base.update(locked, actor=actor, values=values)


def reference_delete(row: R, *, actor: Actor) -> R:
    """Soft delete. Conflict, with the counts in `in_use`, while anything points at it."""
    model = type(row)
    with transaction.atomic():
        if model.tree:
            trees.lock(model)
        locked = base.lock(model.objects.all(), pk=row.pk)
        _refuse_system(locked)
        used = usage(locked)
        if used:
            raise Conflict(
                "It is in use. Switch it off (is_active: false), or merge it into another.", in_use=used
            )
        return base.soft_delete(locked, actor=actor)


def usage(row: ReferenceModel) -> dict[str, int]:
    """Who points at this row: name → count; children among them. Empty when nobody does."""
    found = references.counts(row.event_name, row.pk)
    model: Any = type(row)
    children = model.objects.filter(parent=row.pk).count() if row.tree else 0
    return found | ({"children": children} if children else {})


def reference_merge(row: R, *, actor: Actor, into: R) -> R:
    """Move whatever points at `row` to `into`, children included, and delete `row`. Returns `into`.

    Conflict when the two cannot be one: another category or level, or `into` lies below `row`.
    """
    model = type(row)
    with transaction.atomic(), _unique_in_the_end():
        if model.tree:
            trees.lock(model)
        both = {one.pk: one for one in model.objects.filter(pk__in=[row.pk, into.pk]).order_by("pk")}
        locked = {pk: base.lock(model.objects.all(), pk=pk) for pk in sorted(both)}
        source, target = locked[row.pk], locked[into.pk]
        _check_merge(source, target)
        moved = _move_children(source, target) | references.move_all(
            source.event_name, source.pk, target.pk, actor
        )
        model.all_objects.filter(merged_into=source).update(merged_into=target)
        source.merged_into = target
        source.save(update_fields=["merged_into"])
        base.soft_delete(source, actor=actor)
        total = sum(moved.values())
        changes = {"into": str(target.pk), "moved": moved}
        audit.record(actor=actor, action="merge", obj=source, changes=changes)
        data = {"into": str(target.pk), "moved": total}
        events.emit(f"{source.event_name}.merged", obj=source, actor=actor, data=data)
        target.refresh_from_db()
        return target


def defaults_load(actor: Actor) -> int:
    """What a new organisation starts with, where it is missing; returns how many rows were made.

    Safe to run again: it adds what is not there by code and touches nothing that is.
    """
    from web.tenant.reference_data import defaults

    return defaults.load(actor)


# --- rules --------------------------------------------------------------------------------------------------


@contextmanager
def _unique_in_the_end() -> Iterator[None]:
    """Two who take the same code at once both pass the look beforehand; the database lets one through."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise Conflict(
            "Two rows would have what only one may: a code, a level, or a place in a list."
        ) from None


def _check_place(model: type[ReferenceModel], row: Any, values: Mapping[str, Any]) -> None:
    """The rules of a tree for `row` (None: a new one) with `values`."""
    parent = values.get("parent", getattr(row, "parent", None))
    if model is ReferenceData:
        _check_item(row, values, parent)
    if model is Location:
        _check_level(row, str(values.get("type", getattr(row, "type", ""))), parent)
    if parent is None or (row is not None and "parent" not in values):
        return
    if row is not None and row.parent_id == parent.pk:
        return
    if not model.objects.filter(pk=parent.pk).exists():
        raise _wrong("parent", "does_not_exist", "There is no such row.")
    over = trees.above(model, parent.pk)
    if row is not None and row.pk in over:
        raise _wrong("parent", "cycle", "A row cannot lie below itself.")
    height = 0 if row is None else max(trees.below(model, row.pk).values(), default=0)
    if len(over) + 1 + height > trees.MAX_DEPTH:
        raise _wrong("parent", "too_deep", f"A tree has at most {trees.MAX_DEPTH} levels.")


def _check_item(row: ReferenceData | None, values: Mapping[str, Any], parent: ReferenceData | None) -> None:
    category = values.get("category", getattr(row, "category", None))
    if row is not None and category is not None and category.pk != row.category_id:
        raise _wrong("category", "immutable", "An item stays in its category.")
    if parent is None or category is None:
        return
    if parent.category_id != category.pk:
        raise _wrong("parent", "other_category", "The parent is in another category.")
    if category.category_type != CategoryType.TREE:
        raise _wrong("parent", "flat", "This category is a flat list.")


def _check_level(row: Location | None, kind: str, parent: Location | None) -> None:
    levels = queries.levels()
    if not levels:
        return
    if kind not in levels:
        raise _wrong("type", "invalid_choice", f"One of: {', '.join(levels)}.")
    if parent is not None and levels.get(parent.type, -1) >= levels[kind]:
        raise _wrong("parent", "level", "A place lies in one of a wider level.")
    if row is not None and row.type != kind:
        inner = Location.objects.filter(parent=row).values_list("type", flat=True)
        if any(levels.get(one, len(levels)) <= levels[kind] for one in inner):
            raise _wrong("type", "level", "A place inside this one is of a wider or the same level.")


def _check_category(row: ReferenceDataCategory, values: Mapping[str, Any]) -> None:
    if row.is_system and "name" in values and values["name"] != row.name:
        raise _wrong("name", "system", "Programs call this category by its name; change display_name.")
    flat = values.get("category_type", row.category_type) != CategoryType.TREE
    if flat and ReferenceData.objects.filter(category=row, parent__isnull=False).exists():
        raise _wrong("category_type", "has_tree", "Items of this category lie below others.")


def _rename_level(row: ReferenceData, values: Mapping[str, Any]) -> None:
    """Places name their level by its code: when the code changes, they follow."""
    code = values.get("code", row.code)
    if row.category.name != queries.LOCATION_LEVELS or code == row.code or not row.code:
        return
    if not code and Location.objects.filter(type=row.code).exists():
        raise _wrong("code", "in_use", "Places are of this level.")
    Location.all_objects.filter(type=row.code).update(
        type=code, revision=F("revision") + 1, updated_at=timezone.now()
    )


def _check_merge(source: Any, target: Any) -> None:
    if source.pk == target.pk:
        raise _wrong("into", "same", "A row cannot be merged into itself.")
    _refuse_system(source)
    if isinstance(source, ReferenceData) and source.category_id != target.category_id:
        raise _wrong("into", "other_category", "The two are in different categories.")
    if isinstance(source, Location) and source.type != target.type:
        raise _wrong("into", "level", "The two are of different levels.")
    if isinstance(source, ReferenceDataCategory) and source.category_type != target.category_type:
        raise _wrong("into", "other_kind", "One is a tree and the other a flat list.")
    if source.tree and source.pk in trees.above(type(source), target.pk):
        raise Conflict("The row to merge into lies below this one. Move it first.")


def _move_children(source: Any, target: Any) -> dict[str, int]:
    if not source.tree:
        return {}
    model = type(source)
    height = max(trees.below(model, source.pk).values(), default=0)
    if height and len(trees.above(model, target.pk)) + height > trees.MAX_DEPTH:
        raise Conflict(f"Its children would lie deeper than {trees.MAX_DEPTH} levels.")
    count = model.all_objects.filter(parent=source).update(
        parent=target, revision=F("revision") + 1, updated_at=timezone.now()
    )
    return {"children": count} if count else {}


def _refuse_system(row: Any) -> None:
    if getattr(row, "is_system", False):
        raise Conflict("The product itself needs this category.")


def _free_code(name: str) -> str:
    code = slugify(name)[:20].strip("-")
    return "" if Priority.objects.filter(code=code).exists() else code


def _wrong(field: str, code: str, text: str) -> ValidationError:
    return ValidationError({field: [ValidationError(text, code=code)]})


def pointing_by_code(pk: uuid.UUID) -> int:
    """How many places name this item as their level."""
    item = ReferenceData.all_objects.select_related("category").get(pk=pk)
    if item.category.name != queries.LOCATION_LEVELS or not item.code:
        return 0
    return Location.objects.filter(type=item.code).count()


def move_by_code(from_id: uuid.UUID, to_id: uuid.UUID, actor: Actor) -> int:
    """Places of one level become places of another."""
    if not pointing_by_code(from_id):
        return 0
    old, new = (ReferenceData.all_objects.get(pk=pk) for pk in (from_id, to_id))
    return Location.objects.filter(type=old.code).update(
        type=new.code, revision=F("revision") + 1, updated_at=timezone.now()
    )
