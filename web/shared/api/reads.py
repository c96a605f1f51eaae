"""Writing down who read what, for resources whose view says `audited_read = True`.

A retrieve is a 'view' row about that object. A list is ordinary work and leaves none, unless it showed
sensitive values: then one 'view_list' row names the fields and the objects. Nothing read is repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model

from web.shared.core import audit
from web.shared.core.actor import Actor


def row_shown(actor: Actor, row: Model) -> None:
    """`row` was shown whole to `actor`."""
    audit.record(actor=actor, action="view", obj=row)


def list_shown(actor: Actor, body: Any, rows: Sequence[Model], items: Sequence[Mapping[str, Any]]) -> None:
    """`rows` were listed as `items`; audited when a sensitive field of any of them had a value."""
    names = getattr(body, "sensitive", {})
    shown = sorted({name for item in items for name in names if item.get(name) not in (None, "", [], {})})
    if not shown:
        return
    seen = [str(row.pk) for row, item in zip(rows, items, strict=True) if any(item.get(n) for n in shown)]
    label = rows[0]._meta.label_lower
    audit.record(
        actor=actor, action="view_list", object_type=label, changes={"fields": shown, "objects": seen}
    )
