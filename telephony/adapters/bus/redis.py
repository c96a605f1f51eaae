"""RedisBus: the port `Bus` over Redis streams, one per tenant and direction.

Up (`murima:<tenant>:up`, fields k and d) goes what the log's file holds: a follower reads it at its own
position, so what Redis missed while it was away comes later, in order; a frame whose first try had no answer
may come twice, and readers drop it by its seq. Beats and acks are sent past the file, best effort.

Down (`murima:<tenant>:down`, field d) come asks, read from two seconds back, since older ones have expired.
An ask is opened only under its seal, and only on its own tenant's stream; what does not fit is counted.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import redis.asyncio
import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError

from telephony import codec
from telephony.contract.asks import Envelope
from telephony.contract.frames import Ack, Beat
from telephony.contract.ids import TenantId

UP_FRAMES = 10_000
"""About how many frames a tenant's upward stream keeps; older ones are PostgreSQL's."""
SEND_SECONDS = 0.5
BATCH_SECONDS = 5.0
BLOCK_SECONDS = 0.25
ASK_AGE_MS = 2_000
ASK_BYTES = 16 << 10
_ASK_ID = re.compile(r"[!-~]{1,128}")
"""Clients choose it, and it goes into the log."""
_AWAY = (RedisError, OSError, TimeoutError)
_log = structlog.get_logger(__name__)

FRAMES = Counter("murima_bus_frames", "Frames followed from the log to Redis")
ERRORS = Counter("murima_bus_errors", "Times Redis was away", ["activity"])
LOST = Counter("murima_bus_frames_lost", "Beats and acks that could not be sent", ["kind"])
REFUSED = Counter("murima_bus_asks_refused", "Asks that did not fit", ["reason"])


Message = tuple[TenantId, bytes, dict[bytes, bytes]]
"""Whose stream, the message's id there, its fields."""


class Tail(Protocol):
    """A follower's place in the log (see adapters.log.log.Tail)."""

    async def batch(self, within: float | None = None) -> list[tuple[str, TenantId, bytes]]: ...

    def passed(self) -> None: ...


class RedisBus:
    """Three connections: following, sending, and waiting for asks; so that none waits for another."""

    def __init__(self, url: str, ask_key: bytes, tail: Tail) -> None:
        self._key, self._tail = ask_key, tail
        self._follower = _client(url, BATCH_SECONDS)
        self._sender = _client(url, SEND_SECONDS)
        self._reader = _client(url, BLOCK_SECONDS + 2)
        self._places: dict[TenantId, str] = {}
        self._served: set[TenantId] = set()
        self._served_changed = asyncio.Event()
        self.up = False
        """The follower's last batch went through."""

    # --- up ---

    async def watch(self) -> None:
        """Follow the log until cancelled."""
        pause = _Pause()
        while True:
            try:
                frames = await self._tail.batch()
                await self._give(frames)
                self._tail.passed()
                FRAMES.inc(len(frames))
                if not self.up:
                    _log.info("bus_up")
                self.up = True
                pause.reset()
            except _AWAY as error:
                self._note_away("follow", error)
                await pause.wait()

    async def _give(self, frames: list[tuple[str, TenantId, bytes]]) -> None:
        async with asyncio.timeout(BATCH_SECONDS), self._follower.pipeline(transaction=False) as pipe:
            for kind, tenant, data in frames:
                pipe.xadd(_up(tenant), {"k": kind, "d": data}, maxlen=UP_FRAMES, approximate=True)
            await pipe.execute()

    async def send(self, frame: Ack | Beat) -> None:
        """See the port; half a second at most."""
        kind, data = codec.encode_frame(frame)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._sender.xadd(
                    _up(frame.tenant), {"k": kind, "d": data}, maxlen=UP_FRAMES, approximate=True
                )
        except _AWAY:
            LOST.labels(kind).inc()

    # --- down ---

    def serve(self, tenants: set[TenantId]) -> None:
        """See the port. A tenant that is new is read from two seconds back."""
        self._served = set(tenants)
        self._places = {tenant: place for tenant, place in self._places.items() if tenant in tenants}
        self._served_changed.set()

    async def asks(self) -> AsyncIterator[Envelope]:
        pause = _Pause()
        while True:
            try:
                found = await self._read()
                pause.reset()
            except _AWAY as error:
                self._note_away("asks", error)
                await pause.wait()
                continue
            for tenant, _, fields in found:
                envelope = self._open(tenant, fields)
                if envelope is not None:
                    yield envelope
            if found:
                await self._forget(found)

    async def _forget(self, found: list[Message]) -> None:
        """Take asks that were handed on out of Redis: they may hold digits. Best effort; they expire, too."""
        try:
            async with asyncio.timeout(SEND_SECONDS), self._sender.pipeline(transaction=False) as pipe:
                for tenant, place, _ in found:
                    pipe.xdel(_down(tenant), place)
                await pipe.execute()
        except _AWAY:
            ERRORS.labels("forget").inc()

    async def _read(self) -> list[Message]:
        if not self._served:
            self._served_changed.clear()
            try:
                async with asyncio.timeout(BLOCK_SECONDS):
                    await self._served_changed.wait()
            except TimeoutError:
                return []
        since = f"{max(0, int(time.time() * 1000) - ASK_AGE_MS)}-0"
        names = {_down(tenant): tenant for tenant in self._served}
        if not names:
            return []
        places: Any = {name: self._places.setdefault(tenant, since) for name, tenant in names.items()}
        answer: Any = await self._reader.xread(places, count=100, block=int(BLOCK_SECONDS * 1000))
        found = []
        for name, messages in _pairs(answer):
            tenant = names[name.decode()]
            for place, fields in messages:
                self._places[tenant] = place.decode()
                found.append((tenant, place, fields))
        return found

    def _open(self, tenant: TenantId, fields: dict[bytes, bytes]) -> Envelope | None:
        data = fields.get(b"d", b"")
        if len(data) > ASK_BYTES:
            REFUSED.labels("too_long").inc()
            return None
        try:
            envelope = codec.open_ask(data, self._key)
        except ValueError:  # msgspec's errors are ValueErrors, too
            REFUSED.labels("seal_or_shape").inc()
            return None
        if not _ASK_ID.fullmatch(envelope.id):
            REFUSED.labels("id").inc()
            return None
        if envelope.tenant != tenant:
            REFUSED.labels("tenant").inc()
            return None
        return envelope

    def _note_away(self, activity: str, error: BaseException) -> None:
        ERRORS.labels(activity).inc()
        if self.up or activity == "asks":
            _log.warning("bus_away", activity=activity, error=type(error).__name__)
        self.up = False

    async def close(self) -> None:
        """Close the connections; `watch` and `asks` must have ended."""
        for client in (self._follower, self._sender, self._reader):
            await client.aclose()


class _Pause:
    """Full jitter up to two seconds."""

    def __init__(self) -> None:
        self._tries = 0

    def reset(self) -> None:
        self._tries = 0

    async def wait(self) -> None:
        bound = min(2.0, 0.1 * 2 ** min(self._tries, 8))
        self._tries += 1
        await asyncio.sleep(random.uniform(bound / 2, bound))


def _client(url: str, timeout: float) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=2, retry=None)


def _pairs(answer: Any) -> list[tuple[bytes, Any]]:
    return list(answer.items()) if isinstance(answer, dict) else list(answer or [])


def _up(tenant: TenantId) -> str:
    return f"murima:{tenant}:up"


def _down(tenant: TenantId) -> str:
    return f"murima:{tenant}:down"
