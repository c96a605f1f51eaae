"""A daemon's mouth and ears on the bus, without telephony: what the test says goes up, asks are answered.

It writes frames as the daemon's bus does (fields k and d) and opens asks under the deployment's key. What an
ask leads to is the test's: `answers` maps a kind of ask to a function that gives (entries, ack fields).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from redis.asyncio import Redis

from realtime.tasks import end
from telephony import codec
from telephony.contract.asks import Envelope
from telephony.contract.frames import Ack, Beat, Entry, Party
from telephony.contract.ids import TenantId


class FakeDaemon:
    def __init__(self, url: str, tenant: str, ask_key: bytes = b"") -> None:
        self.redis: Any = Redis.from_url(url, socket_timeout=5, protocol=2)
        self.tenant, self.key = TenantId(tenant), ask_key
        self.epoch, self.seq = 1, 0
        self.heard: list[Envelope] = []
        self.answers: dict[str, Callable[[Envelope], tuple[list[Entry], dict[str, Any]]]] = {}
        self.silent = False
        self._tasks: list[asyncio.Task[None]] = []

    async def say(self, frames: Iterable[Entry | Party | Beat | Ack]) -> None:
        """Put frames on the stream, in order, as one pipeline."""
        pipe = self.redis.pipeline(transaction=False)
        for each in frames:
            kind, data = codec.encode_frame(each)
            pipe.xadd(f"murima:{self.tenant}:up", {"k": kind, "d": data}, maxlen=10_000, approximate=True)
            if isinstance(each, Entry):
                self.seq, self.epoch = max(each.seq, self.seq), each.epoch
        await pipe.execute()

    async def raw(self, fields: dict[str, bytes]) -> None:
        await self.redis.xadd(f"murima:{self.tenant}:up", fields)

    async def beat(self, seq: int | None = None, epoch: int | None = None) -> None:
        number = self.seq if seq is None else seq
        await self.say([Beat(tenant=self.tenant, epoch=epoch or self.epoch, seq=number, at=0)])

    def start(self, beat_seconds: float = 0.5) -> None:
        self._tasks = [
            asyncio.get_running_loop().create_task(self._beat(beat_seconds)),
            asyncio.get_running_loop().create_task(self._listen()),
        ]

    async def stop(self) -> None:
        await end(self._tasks)
        await self.redis.aclose()

    async def _beat(self, seconds: float) -> None:
        while True:
            with contextlib.suppress(Exception):
                await self.beat()
            await asyncio.sleep(seconds)

    async def _listen(self) -> None:
        last = "0-0"
        while True:
            try:
                reply = await self.redis.xread({f"murima:{self.tenant}:down": last}, block=200)
            except Exception:
                await asyncio.sleep(0.1)
                continue
            for _, messages in reply:
                for identity, fields in messages:
                    last = identity.decode()
                    await self._hear(codec.open_ask(fields[b"d"], self.key))

    async def _hear(self, envelope: Envelope) -> None:
        self.heard.append(envelope)
        if self.silent:
            return
        answer = self.answers.get(type(envelope.body).__name__)
        entries, fields = answer(envelope) if answer is not None else ([], {})
        await self.say(entries)
        ack = Ack(tenant=self.tenant, ask=envelope.id, **{"ok": True, "seq": self.seq, **fields})
        await self.say([ack])
