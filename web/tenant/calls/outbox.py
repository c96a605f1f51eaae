"""Asks that follow a transaction: committed together with the change, sent until the daemon acted.

`put` stores the ask; right after the commit it is sent once, and then by `sweep` (the intake process, each
second) with growing, jittered pauses, always under the same id: the daemon acts once on an id. `settle`
closes it when the log shows its effect. After TRIES it is given up; the daemon's own deadline has then long
ended what the ask was about.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from telephony import codec
from telephony.contract import facts as f
from telephony.contract.asks import ASKS
from telephony.contract.frames import Entry
from telephony.contract.ids import AskId
from web.shared.core import asks
from web.shared.tenants.context import current_tenant_id, tenant_context
from web.tenant.calls.models import OutboxAsk

TRIES = 12
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
KEPT = timedelta(days=7)

logger = structlog.get_logger(__name__)


def put(ask_id: str, body: Any, *, actor: str, call: Any = None) -> None:
    """Store an ask (one of the contract's ASKS) in the transaction under way; it is sent after the commit."""
    tenant = str(current_tenant_id())
    OutboxAsk.objects.update_or_create(
        id=ask_id,
        defaults={
            "kind": type(body).__name__,
            "body": json.loads(codec.canonical(body)),
            "actor": actor,
            "call_id": call,
            "next_at": timezone.now() + timedelta(seconds=FIRST_PAUSE),
            "tries": 1,
            "done_at": None,
            "outcome": "",
        },
    )
    transaction.on_commit(lambda: _send_quietly(tenant, ask_id, body, actor), robust=True)


def due_rows() -> QuerySet[OutboxAsk]:
    """Asks that are to be sent again."""
    return OutboxAsk.objects.filter(done_at=None, next_at__lte=timezone.now())


def sweep(tenant_id: str) -> int:
    """Send what is due again; returns how many were sent."""
    with tenant_context(tenant_id), transaction.atomic():
        now = timezone.now()
        due = due_rows().select_for_update(skip_locked=True)
        sent = 0
        for row in due.order_by("next_at")[:100]:
            if row.tries >= TRIES:
                row.done_at, row.outcome = now, "given_up"
                logger.warning("ask_given_up", tenant=tenant_id, kind=row.kind, ask=row.id)
            else:
                row.tries += 1
                row.next_at = now + timedelta(seconds=_pause(row.tries))
                body = codec.decode_as(ASKS[row.kind], json.dumps(row.body).encode())
                _send_quietly(tenant_id, row.id, body, row.actor)
                sent += 1
            row.save()
    return sent


def forget_done() -> None:
    """Remove what was closed long ago, in the tenant chosen now."""
    OutboxAsk.objects.filter(done_at__lt=timezone.now() - KEPT).delete()


def settle(entries: Sequence[Entry]) -> None:
    """Close asks whose effect these entries show; runs in the intake's transaction."""
    now = timezone.now()
    open_asks = OutboxAsk.objects.filter(done_at=None)
    acted = [entry.ask for entry in entries if entry.ask is not None]
    if acted:
        open_asks.filter(id__in=acted).update(done_at=now, outcome="acted")
    for call, agent in _ended_wrap_ups(entries):
        open_asks.filter(kind="FinishWrapUp", call_id=call, body__agent=agent).update(
            done_at=now, outcome="superseded"
        )


def _ended_wrap_ups(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    return [(entry.fact.call, entry.fact.agent) for entry in entries if isinstance(entry.fact, f.WrapUpEnded)]


def _pause(tries: int) -> float:
    """Seconds until the next try: full jitter under a doubling bound."""
    return random.uniform(FIRST_PAUSE, max(FIRST_PAUSE, min(LONGEST_PAUSE, FIRST_PAUSE * 2**tries)))


def _send_quietly(tenant_id: str, ask_id: str, body: Any, actor: str) -> None:
    """Redis away is no failure of the transaction: the sweep sends it again."""
    try:
        asks.send(tenant_id, AskId(ask_id), actor, body)
    except Exception as error:  # whatever went wrong, the row is there and will be tried again
        logger.warning("ask_not_sent", tenant=tenant_id, ask=ask_id, error=type(error).__name__)
