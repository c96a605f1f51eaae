"""One story out of many apps: what happened on a case or with a contact, newest first.

Higher apps know things about lower ones that these may not import: calls about a case, documents about a
contact. Each registers a provider in `ready()`; `read` asks all of them for their newest entries before a
point, merges, and cuts. An entry carries ids and states; whoever shows it fetches the words from its API,
except where a provider already holds text that the viewer may see (a note's).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from web.shared.core.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind` such as "call" or "case.note"; `id` of the row it speaks of; `data` as JSON."""

    at: datetime
    kind: str
    id: uuid.UUID
    actor_id: uuid.UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def position(self) -> tuple[datetime, str]:
        """Unique among entries of one kind; ties between kinds are broken by it too."""
        return self.at, str(self.id)


Provider = Callable[[uuid.UUID, Viewer, tuple[datetime, str] | None, int], list[Entry]]
"""(entity's id, viewer, before this position or None, at most so many) → entries, newest first."""

_providers: dict[str, dict[str, Provider]] = {}


def provider(entity: str, name: str, read_entries: Provider) -> None:
    """Register what `name` knows about an entity of this kind."""
    if _providers.setdefault(entity, {}).setdefault(name, read_entries) is not read_entries:
        raise ValueError(f"the timeline of {entity} has two providers called {name}")


def read(
    entity: str, pk: uuid.UUID, viewer: Viewer, *, before: tuple[datetime, str] | None = None, limit: int = 50
) -> list[Entry]:
    """The newest `limit` entries before `before` that this viewer may see, of all providers."""
    found: list[Entry] = []
    for read_entries in _providers.get(entity, {}).values():
        found += read_entries(pk, viewer, before, limit)
    return sorted(found, key=lambda entry: entry.position, reverse=True)[:limit]
