"""Writes, as every app does them: check, change, audit, tell, in one transaction.

An app's services.py has functions named `<noun>_<verb>`, keyword-only, the actor first. Most of them are a
few lines around `create`, `update` and `soft_delete`; what has rules of its own is written out, inside
`transaction.atomic()`, and calls `audit.record` itself. Services raise django's ValidationError (the API
answers 422) or a Problem of web.shared.api.problems. They never see a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from web.shared.core import audit, events
from web.shared.core.actor import Actor
from web.shared.core.models import BaseModel

M = TypeVar("M", bound=BaseModel)


def create(model: type[M], *, actor: Actor, values: Mapping[str, Any]) -> M:
    """A new row with `values`, validated, audited as 'create'. ValidationError when a rule is broken."""
    row = model(**values)
    row.created_by_id = row.updated_by_id = actor.user_id
    with transaction.atomic():
        row.full_clean()
        row.save(force_insert=True)
        audit.record(actor=actor, action="create", obj=row)
        events.emit_for(row, "created", actor=actor, fields=list(values))
    return row


def update(row: M, *, actor: Actor, values: Mapping[str, Any]) -> M:
    """Set `values` on a row; nothing is written when nothing differs. Lock the row first if it may race."""
    changed = [name for name, value in values.items() if getattr(row, _attribute(row, name)) != _plain(value)]
    if not changed:
        return row
    for name in changed:
        setattr(row, name, values[name])
    row.updated_by_id = actor.user_id
    with transaction.atomic():
        row.full_clean()
        row.save(update_fields=[*changed, "updated_by"])
        audit.record(actor=actor, action="update", obj=row, changes=audit.changed_fields(changed))
        events.emit_for(row, "updated", actor=actor, fields=changed)
    return row


def soft_delete(row: M, *, actor: Actor) -> M:
    """Mark a row deleted; it leaves `objects` and stays in `all_objects`."""
    if row.is_deleted:
        return row
    row.is_deleted = True
    row.deleted_at = timezone.now()
    row.deleted_by_id = row.updated_by_id = actor.user_id
    with transaction.atomic():
        row.save(update_fields=["is_deleted", "deleted_at", "deleted_by", "updated_by"])
        audit.record(actor=actor, action="delete", obj=row)
        events.emit_for(row, "deleted", actor=actor)
    return row


def lock(queryset: models.QuerySet[M], **lookup: Any) -> M:
    """The one row of `queryset`, locked until the transaction ends. Raises DoesNotExist."""
    return queryset.select_for_update(of=("self",)).get(**lookup)


def refuse(**messages: str) -> ValidationError:
    """A ValidationError about named fields: `raise refuse(phone="Not a number.")`."""
    return ValidationError({name: [ValidationError(text, code="invalid")] for name, text in messages.items()})


def _attribute(row: models.Model, name: str) -> str:
    field = row._meta.get_field(name)
    return str(getattr(field, "attname", name))


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value
