"""Sending an ask to the daemon: sealed, with an expiry, on the tenant's stream in Redis.

The id is the sender's, so that sending again is harmless: the daemon acts once on an id. Redis away raises
redis.exceptions.RedisError within two seconds; nothing is kept here for later (web.tenant.calls has an outbox
for what must survive). The daemon's answer comes up as an Ack frame.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings

from telephony import codec
from telephony.contract.asks import Envelope
from telephony.contract.clock import SECOND
from telephony.contract.ids import AskId, TenantId
from web.shared.core.stores import redis_client
from web.shared.tenants.keys import redis_key

EXPIRY = 2 * SECOND
KEPT_MS = 10_000
"""How long an ask may lie in its stream when no daemon takes it: it can hold digits, so not for long."""
SEND_SECONDS = 1.0

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis] = WeakKeyDictionary()


def send(tenant_id: str, ask_id: AskId, actor: str, body: Any) -> None:
    """Seal and send `body`, one of the contract's ASKS. `actor` is the user's id, or a process's name."""
    data = _seal(tenant_id, ask_id, actor, body)
    pipe = redis_client().pipeline(transaction=False)
    _put(pipe, _stream(tenant_id), data)
    pipe.execute()


async def send_async(tenant_id: str, body: Any, *, actor: str, ask_id: AskId) -> None:
    """As `send`, from async code; TimeoutError or RedisError within a second when Redis is away."""
    data = _seal(tenant_id, ask_id, actor, body)
    async with asyncio.timeout(SEND_SECONDS):
        pipe = _client().pipeline(transaction=False)
        _put(pipe, _stream(tenant_id), data)
        await pipe.execute()


def _put(pipe: Any, stream: str, data: bytes) -> None:
    oldest = time.time_ns() // 1_000_000 - KEPT_MS
    pipe.xadd(stream, {"d": data}, minid=oldest, approximate=False)
    pipe.pexpire(stream, KEPT_MS)


def _seal(tenant_id: str, ask_id: AskId, actor: str, body: Any) -> bytes:
    now = time.time_ns() // 1000
    envelope = Envelope(
        id=ask_id, tenant=TenantId(tenant_id), actor=actor, at=now, expires=now + EXPIRY, body=body
    )
    return codec.seal_ask(envelope, settings.ASK_KEY.encode())


def _stream(tenant_id: str) -> str:
    return redis_key(tenant_id, "down")


def _client() -> redis.asyncio.Redis:
    """One client per event loop, since its connections belong to one."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=SEND_SECONDS, socket_connect_timeout=SEND_SECONDS
        )
    return client
