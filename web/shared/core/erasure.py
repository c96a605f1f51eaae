"""What must be reachable when a person is erased, exported or merged.

A contact's words lie in many apps. Each registers, in `ready()`, how it erases, exports, moves and holds what
it keeps about a contact; `web.tenant.contacts` runs them all in one transaction. An app that keeps something
personal and registers nothing is a bug that the erasure test finds: it looks for the name everywhere.

- `eraser(name, fn)`: fn(contact_id, actor) → how many rows it emptied. Facts, ids and times stay.
- `exporter(name, fn)`: fn(contact_id) → list of plain dicts, what the person is entitled to read.
- `hold(name, fn)`: fn(contact_id) → why this person's data may not be erased now, or None.
- `merger(name, move, undo)`: move(from_id, to_id) → JSON that `undo(record)` needs to put things back.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from web.shared.core.actor import Actor

Eraser = Callable[[uuid.UUID, Actor], int]
Exporter = Callable[[uuid.UUID], list[dict[str, Any]]]
Hold = Callable[[uuid.UUID], str | None]
Move = Callable[[uuid.UUID, uuid.UUID], Any]
Undo = Callable[[Any], None]

erasers: dict[str, Eraser] = {}
exporters: dict[str, Exporter] = {}
holds: dict[str, Hold] = {}
mergers: dict[str, tuple[Move, Undo]] = {}


def eraser(name: str, erase: Eraser) -> None:
    erasers[name] = erase


def exporter(name: str, export: Exporter) -> None:
    exporters[name] = export


def hold(name: str, reason: Hold) -> None:
    holds[name] = reason


def merger(name: str, move: Move, undo: Undo) -> None:
    mergers[name] = (move, undo)
