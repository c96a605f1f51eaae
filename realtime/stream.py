"""A tenant's upward stream as this process reads it: where to begin, what came, and whether Redis is there.

Ages are told by Redis's own clock: an entry's id begins with the millisecond in which Redis took it, and the
difference between that clock and ours is measured at every (re)connect. So a heartbeat that waited in the
stream while we were away does not look fresh.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime import meters
from telephony import codec
from telephony.contract.frames import Ack, Beat, Entry, Party

LOOK_BACK_MS = 15_000
BATCH = 512
BLOCK_MS = 500
DEADLINE = 5.0
AWAY = (RedisError, OSError, TimeoutError)

Item = tuple[int, Entry | Party | Beat | Ack]
"""(Redis's millisecond, frame)."""


def connect(url: str) -> Any:
    """A client for blocking reads and short commands; every call ends within DEADLINE."""
    return Redis.from_url(
        url, socket_timeout=DEADLINE, socket_connect_timeout=2, protocol=2, retry_on_timeout=False
    )


class Stream:
    """Not restartable after `close`; one reader."""

    def __init__(self, redis: Any, key: str) -> None:
        self._redis, self._key = redis, key
        self._last: str | None = None
        self._offset = 0.0
        self._tries = 0
        self.present = False
        """Whether the last command was answered."""

    def age(self, milliseconds: int) -> float:
        """Seconds since Redis's clock showed this."""
        return time.monotonic() + self._offset - milliseconds / 1000

    async def read(self, block_ms: int = BLOCK_MS) -> list[Item]:
        """What came since the last read; waits up to `block_ms`. Redis away: [] after a jittered pause."""
        try:
            if not self.present:
                await self._find_clock()
            reply = await self._redis.xread({self._key: self._last}, count=BATCH, block=block_ms)
        except AWAY:
            await self._lost()
            return []
        items = []
        for identity, fields in reply[0][1] if reply else ():
            self._last = identity.decode()
            item = _decode(fields)
            if item is not None:
                items.append((int(self._last.partition("-")[0]), item))
        return items

    async def _find_clock(self) -> None:
        seconds, micros = await self._redis.time()
        self._offset = seconds + micros / 1e6 - time.monotonic()
        start = seconds * 1000 + micros // 1000 - LOOK_BACK_MS
        # Emptied and refilled by the daemon: nothing newer than our place would ever come from an old clock.
        if self._last is None or int(self._last.partition("-")[0]) > start + LOOK_BACK_MS:
            self._last = f"{start}-0"
        self.present, self._tries = True, 0

    async def _lost(self) -> None:
        if self.present or not self._tries:
            meters.STREAM_LOST.inc()
        self.present = False
        self._tries = min(self._tries + 1, 5)
        await asyncio.sleep(random.uniform(0.5, 1.0) * 0.1 * 2**self._tries)


def _decode(fields: dict[bytes, bytes]) -> Entry | Party | Beat | Ack | None:
    try:
        return codec.decode_frame(fields[b"k"].decode(), fields[b"d"])
    except (KeyError, ValueError):  # msgspec's errors are ValueErrors
        meters.MALFORMED.inc()
        return None
