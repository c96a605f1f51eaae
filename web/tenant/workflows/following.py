"""What workflows do when the things they run on are gone: they end.

The consumer "workflows" hears of every deletion. Otherwise an instance would stay for ever in its stage,
where nobody sees it any more, and be reported overdue.
"""

from __future__ import annotations

from typing import Any

from web.shared.core import entities
from web.shared.core.viewer import everything
from web.tenant.workflows import outbox, running
from web.tenant.workflows.models import WorkflowInstance


def wanted(kinds: set[str]) -> set[str]:
    return {kind for kind in kinds if kind.endswith(".deleted")}


def consume(batch: list[Any]) -> None:
    """Cancel the instances on entities that these events say were deleted, and that have not come back."""
    gone = {
        (event.object_type, event.object_id)
        for event in batch
        if event.type.endswith(".deleted") and event.object_id is not None
    }
    gone = {pair for pair in gone if pair[0] in entities.names()}
    if not gone:
        return
    ids = {pk for _, pk in gone}
    running_on = set(
        WorkflowInstance.objects.filter(entity_id__in=ids, completed_at=None).values_list(
            "entity_type", "entity_id"
        )
    )
    running.end_for(sorted(filter(_is_gone, gone & running_on), key=str), outbox.ACTOR)


def _is_gone(pair: tuple[str, Any]) -> bool:
    try:
        entities.row(*pair, everything())
    except entities.UnknownEntity:
        return True
    return False
