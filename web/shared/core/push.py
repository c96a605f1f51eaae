"""Telling a person's open screens, at once and at best.

Web code may not know sockets; realtime fills `sender` when it starts. A message leaves after the commit of
what it speaks of, those of one transaction together. Nobody waits for it and nothing depends on it: a
screen that missed it reads the same from the API.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import connection, transaction

PAUSE = 5.0
"""Seconds without another try after one that failed: Redis away must not slow down a worker."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """`kind` is the type of the socket's message, `data` what it carries: JSON."""

    tenant_id: str
    user_id: uuid.UUID
    kind: str
    data: Mapping[str, Any]


Sender = Callable[[Sequence[Message]], None]
_senders: list[Sender] = []
_not_before = 0.0


def sender(send: Sender) -> None:
    """Register who carries messages; there is one."""
    _senders[:] = [send]


def to_user(tenant_id: str, user_id: uuid.UUID, kind: str, data: Mapping[str, Any]) -> None:
    """Send to every open screen of this user in this tenant, after the commit."""
    message = Message(str(tenant_id), user_id, kind, dict(data))
    # Only to a batch of the same savepoint: what is rolled back must take its messages along.
    here = set(connection.savepoint_ids)
    for savepoints, hook, *_ in connection.run_on_commit:
        waiting: list[Message] | None = getattr(hook, "messages", None)
        if waiting is not None and savepoints == here:
            waiting.append(message)
            return
    batch = [message]

    def send() -> None:
        send.messages = None  # type: ignore[attr-defined]
        _send(batch)

    send.messages = batch  # type: ignore[attr-defined]
    transaction.on_commit(send, robust=True)


def _send(batch: Sequence[Message]) -> None:
    global _not_before
    if not _senders or time.monotonic() < _not_before:
        return
    try:
        _senders[0](batch)
    except Exception as error:  # whatever is away: the API has it all
        _not_before = time.monotonic() + PAUSE
        logger.warning("push_not_sent", count=len(batch), error=type(error).__name__)
