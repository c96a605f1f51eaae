"""One follower per process: the feeds of the tenants whose sockets are here.

Made on first use in the running event loop. A tenant's feed starts with its first socket and goes on for a
while after its last one, so that a reload of the only desk finds its ring; then it ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from django.conf import settings

from realtime.feed import Feed
from realtime.presence import Presence
from realtime.sources import Sources
from realtime.stream import Stream, connect
from realtime.tasks import end
from telephony.contract.ids import tenant_id

LINGER_SECONDS = 60.0
SWEEP_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Follower:
    def __init__(self, redis_url: str) -> None:
        self.redis = connect(redis_url)
        self.feeds: dict[str, Feed] = {}
        self._presence: dict[str, tuple[Presence, asyncio.Task[None]]] = {}
        self._later: set[asyncio.Task[None]] = set()
        self._sources = Sources()
        self._sweeper: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None

    def join(self, tenant: str) -> Feed:
        """The tenant's feed, started when it is the first use; pair with `leave`."""
        feed = self.feeds.get(tenant)
        if feed is None:
            stream = Stream(self.redis, f"murima:{tenant_id(tenant)}:up")
            feed = self.feeds[tenant] = Feed(tenant, stream, self._sources)
            feed.start()
            presence = Presence(self.redis, feed)
            self._presence[tenant] = presence, asyncio.get_running_loop().create_task(presence.watch())
        feed.users += 1
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        if self._reader is None or self._reader.done():
            self._reader = asyncio.get_running_loop().create_task(self._know_keys())
        return feed

    def leave(self, feed: Feed) -> None:
        feed.users -= 1
        feed.idle_since = time.monotonic()

    def presence(self, feed: Feed) -> Presence:
        """The desks' leases of this feed's tenant."""
        return self._presence[feed.tenant][0]

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Finish something that its socket does not live to see."""
        task = asyncio.get_running_loop().create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def close(self) -> None:
        """End everything; tests call it, a server's loop just stops."""
        await end([task for task in (self._sweeper, self._reader) if task is not None])
        await end(self._later)
        for tenant in list(self.feeds):
            await self._end(tenant)
        await self.redis.aclose()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            old = time.monotonic() - LINGER_SECONDS
            for tenant, feed in list(self.feeds.items()):
                feed.forget_quiet(LINGER_SECONDS)
                if feed.users == 0 and feed.idle_since < old:
                    await self._end(tenant)

    async def _know_keys(self) -> None:
        """A daemon shows a transit key for a quarter of a period before it uses it. Read them twice in that
        time, since keys change without callers, too: when the daemon starts again."""
        while True:
            await asyncio.sleep(settings.TRANSIT_SECONDS / 8)
            for tenant in list(self.feeds)[:1]:  # each shard's keys come with any tenant
                await self._read_keys(tenant)

    async def _read_keys(self, tenant: str) -> None:
        try:
            await self._sources.learn_keys(tenant)
        except Exception as error:  # without PostgreSQL no key changes
            log.warning("keys_not_read", tenant=tenant, error=type(error).__name__)

    async def _end(self, tenant: str) -> None:
        feed, (_, watching) = self.feeds.pop(tenant), self._presence.pop(tenant)
        await end([watching])
        await feed.stop()


_followers: WeakKeyDictionary[asyncio.AbstractEventLoop, Follower] = WeakKeyDictionary()


def follower() -> Follower:
    """This event loop's follower."""
    loop = asyncio.get_running_loop()
    found = _followers.get(loop)
    if found is None:
        found = _followers[loop] = Follower(settings.REDIS_URL)
    return found
