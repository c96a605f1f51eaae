"""A domain event as the outside reads it: in the feed and in a webhook's body, in one shape."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from web.shared.core.events import EventType

if TYPE_CHECKING:
    from web.shared.records.models import DomainEvent

API_VERSION = "v1"
_SCHEMAS: dict[Any, dict[str, Any]] = {
    uuid.UUID: {"type": ["string", "null"], "format": "uuid"},
    datetime: {"type": ["string", "null"], "format": "date-time"},
    date: {"type": ["string", "null"], "format": "date"},
    str: {"type": ["string", "null"]},
    int: {"type": ["integer", "null"]},
    float: {"type": ["number", "null"]},
    bool: {"type": ["boolean", "null"]},
    list: {"type": "array"},
    dict: {"type": "object"},
}


def as_json(event: DomainEvent) -> dict[str, Any]:
    return {
        "id": str(event.id),
        "type": event.type,
        "api_version": API_VERSION,
        "sequence": event.sequence,
        "at": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "object": {
            "type": event.object_type,
            "id": None if event.object_id is None else str(event.object_id),
        },
        "actor": {
            "kind": event.actor_kind,
            "id": None if event.actor_id is None else str(event.actor_id),
        },
        "data": event.data,
    }


def data_schema(entry: EventType) -> dict[str, Any]:
    """JSON Schema of an event type's data. Readers ignore what they do not know: fields may be added."""
    return {
        "type": "object",
        "properties": {name: _SCHEMAS.get(kind, {}) for name, kind in sorted(entry.data.items())},
    }
