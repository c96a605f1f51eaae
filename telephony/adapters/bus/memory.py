"""MemoryBus: the port `Bus` inside one process, for unit tests. Held to the same tests as RedisBus."""

import asyncio
from collections.abc import AsyncIterator

from telephony import codec
from telephony.contract.asks import Envelope
from telephony.contract.frames import Ack, Beat
from telephony.contract.ids import TenantId


class MemoryBus:
    """`post` is the web tier's side of asks, `sent` what went up."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._served: set[TenantId] = set()
        self._asks: asyncio.Queue[tuple[TenantId, bytes]] = asyncio.Queue()
        self.sent: list[Ack | Beat] = []
        self.refused = 0

    def post(self, tenant: TenantId, data: bytes) -> None:
        self._asks.put_nowait((tenant, data))

    async def asks(self) -> AsyncIterator[Envelope]:
        while True:
            tenant, data = await self._asks.get()
            if tenant not in self._served:
                continue
            try:
                envelope = codec.open_ask(data, self._key)
            except ValueError:
                self.refused += 1
                continue
            if envelope.tenant != tenant or not (envelope.id.isascii() and envelope.id.isprintable()):
                self.refused += 1
                continue
            yield envelope

    async def send(self, frame: Ack | Beat) -> None:
        self.sent.append(frame)

    def serve(self, tenants: set[TenantId]) -> None:
        self._served = set(tenants)
