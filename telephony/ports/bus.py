"""The bus: frames up, asks down. Losing it loses no call and no row."""

from collections.abc import AsyncIterator
from typing import Protocol

from telephony.contract.asks import Envelope
from telephony.contract.frames import Ack, Beat
from telephony.contract.ids import TenantId


class Bus(Protocol):
    def asks(self) -> AsyncIterator[Envelope]:
        """Asks whose seal fits, of every tenant of this shard, until cancelled; reconnects by itself."""
        ...

    async def send(self, frame: Ack | Beat) -> None:
        """Best effort within a deadline; a failure is counted, never raised."""
        ...

    def serve(self, tenants: set[TenantId]) -> None:
        """Which tenants' asks to read from now on."""
        ...
