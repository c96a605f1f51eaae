"""Writing down who did what, in the transaction that did it.

`record` is called by services, inside their transaction: either both the change and its audit row are
committed, or neither. Which table gets it follows from the schema chosen: a tenant's own, or the platform's.

`changes` names fields and, where a value is an id, a state, a flag or a number of things, the value. Text
that a person typed does not belong here; `changed_fields` gives the usual {"fields": [...]}.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.db import models
from django.utils import timezone

from web.shared.core import copying
from web.shared.core.actor import Actor
from web.shared.core.ids import uuid7
from web.shared.core.models import AbstractAuditEvent, PlatformAuditEvent
from web.shared.tenants.context import current_tenant_id


def record(
    *,
    actor: Actor,
    action: str,
    obj: models.Model | None = None,
    object_type: str = "",
    object_id: str = "",
    changes: Mapping[str, Any] | None = None,
) -> AbstractAuditEvent:
    """Insert one audit row about `obj` (or about `object_type` and `object_id`); returns it."""
    if obj is not None:
        object_type, object_id = obj._meta.label_lower, str(obj.pk)
    row = _row(_table(), actor, action, object_type, object_id, changes or {})
    row.save(force_insert=True)
    return row


def record_many(
    *,
    actor: Actor,
    action: str,
    model: type[models.Model],
    objects: Iterable[tuple[Any, Mapping[str, Any]]],
) -> int:
    """As `record`, for many (primary key, changes) of one model in one statement; returns how many."""
    first = _row(_table(), actor, action, model._meta.label_lower, "", {})
    salt = first._meta.get_field("salt").get_default
    rows = []
    for pk, changes in objects:
        row = copying.like(
            first, id=uuid7(), at=timezone.now(), object_id=str(pk), changes=dict(changes), salt=salt()
        )
        row.content_hash = content_hash(row)
        rows.append(row)
    return copying.insert(rows)


def _row(
    table: type[AbstractAuditEvent],
    actor: Actor,
    action: str,
    object_type: str,
    object_id: str,
    changes: Mapping[str, Any],
) -> AbstractAuditEvent:
    row = table(
        at=timezone.now(),
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        process=actor.process,
        action=action,
        object_type=object_type,
        object_id=object_id,
        changes=dict(changes),
        request_id=actor.request_id,
        ip_address=actor.ip_address,
    )
    row.content_hash = content_hash(row)
    return row


def changed_fields(names: Iterable[str]) -> dict[str, list[str]]:
    return {"fields": sorted(names)}


def content_hash(row: AbstractAuditEvent) -> bytes:
    """SHA-256 over the salt and a canonical text of the row: what a sealer chains and a verifier repeats."""
    said = {
        "id": str(row.id),
        "at": row.at.isoformat(),
        "actor_kind": row.actor_kind,
        "actor_id": str(row.actor_id or ""),
        "process": row.process,
        "action": row.action,
        "object_type": row.object_type,
        "object_id": row.object_id,
        "changes": row.changes,
        "request_id": row.request_id,
        "ip_address": row.ip_address or "",
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(bytes(row.salt) + text.encode()).digest()


def _table() -> type[AbstractAuditEvent]:
    if current_tenant_id() is None:
        return PlatformAuditEvent
    return apps.get_model("records", "AuditEvent")
