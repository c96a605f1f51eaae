"""Whether an agent has a desk open, over all processes that serve sockets.

Each socket holds a lease: a member `<agent>|<socket>` of the tenant's sorted set, scored with the moment when
it runs out on Redis's clock. A ping renews it; a socket that closes leaves it to run out, so that a reload
within LOST_SECONDS is no absence, and a process that dies takes nobody along who has a socket elsewhere.

The daemon is told by comparison, not by event: every second, who has a lease is compared with what the
replica says, and each difference becomes a ReportDesktop. Whichever process notices first says it; a short
mark in Redis keeps the others quiet. Losing Redis's memory therefore only delays: sockets renew within one
ping, and absence is believed only after a full lease's time of undisturbed answers.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any
from uuid import uuid4

import structlog

from realtime.feed import Feed
from realtime.messages import LOST_SECONDS
from realtime.sources import send_ask
from realtime.stream import AWAY
from telephony.contract.asks import ReportDesktop
from telephony.contract.ids import AgentId, AskId, tenant_id

PERIOD = 1.0
QUIET_MS = 3000

log = structlog.get_logger(__name__)


class Presence:
    """The leases of one tenant, as one process sees them."""

    def __init__(self, redis: Any, feed: Feed) -> None:
        self._redis, self._feed = redis, feed
        self._key = f"murima:{tenant_id(feed.tenant)}:desktops"
        self._trusted_since: float | None = None
        self._look = asyncio.Event()

    async def renew(self, agent: AgentId, socket: str, *, first: bool = False) -> None:
        """Extend a socket's lease by LOST_SECONDS; quiet when Redis is away."""
        try:
            await self._redis.zadd(self._key, {f"{agent}|{socket}": await self._now() + LOST_SECONDS * 1000})
        except AWAY:
            return
        if first:
            self._look.set()

    async def watch(self) -> None:
        """Compare and report until cancelled."""
        while True:
            try:
                async with asyncio.timeout(PERIOD * random.uniform(0.8, 1.2)):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            try:
                await self._compare()
            except AWAY:
                self._trusted_since = None
            except Exception as error:
                log.warning("presence_failed", tenant=self._feed.tenant, error=type(error).__name__)

    async def _now(self) -> int:
        seconds, micros = await self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def _compare(self) -> None:
        now = await self._now()
        members = await self._redis.zrangebyscore(self._key, now, "+inf")
        await self._redis.zremrangebyscore(self._key, "-inf", now - LOST_SECONDS * 1000)
        present = {member.decode().partition("|")[0] for member in members}
        if self._trusted_since is None:
            self._trusted_since = time.monotonic()
        if not self._feed.loaded:
            return
        believed = time.monotonic() - self._trusted_since > LOST_SECONDS
        for who, agent in list(self._feed.replica.view.agents.items()):
            if agent.desktop != (who in present) and (believed or who in present):
                await self._report(who, online=who in present)

    async def _report(self, agent: AgentId, *, online: bool) -> None:
        mark = f"{self._key}:said:{agent}:{int(online)}"
        if await self._redis.set(mark, b"1", nx=True, px=QUIET_MS):
            body = ReportDesktop(agent=agent, online=online)
            await send_ask(self._feed.tenant, "realtime", AskId(str(uuid4())), body)
