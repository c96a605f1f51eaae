"""One leg's RTP: sends a tone in u-law packets every 20 ms, and keeps what comes back.

Sending follows the clock and not the sleeps, so that a late wake-up is made good; an instance without a
frequency sends silence. `sent` and `ear.packets` are the counters that tests look at.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct

from deployment.dev.sip.sound import FRAME, SILENCE, Ear, tone

_PACKET_SECONDS = 0.02


class Media(asyncio.DatagramProtocol):
    """RTP on one UDP port; `target` may be set and changed while it runs."""

    def __init__(self, frequency: float | None, payload: bytes | None = None) -> None:
        self.ear = Ear()
        self.sent = 0
        self.muted = False
        self.target: tuple[str, int] | None = None
        self._sound = payload or (tone(frequency) if frequency else SILENCE)
        self._transport: asyncio.DatagramTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._ssrc = secrets.randbits(32)
        self._events: list[bytes] = []

    async def open(self, address: str) -> int:
        """Bind to a free port of `address`, begin to send as soon as there is a target; the port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, 0))
        self._task = asyncio.create_task(self._send())
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Keep the sound of a packet (u-law only; telephone events are no sound)."""
        if len(data) > 12 and data[1] & 0x7F == 0:
            start = 12 + 4 * (data[0] & 0x0F)
            self.ear.add(asyncio.get_running_loop().time(), data[start:])

    async def close(self) -> None:
        """Stop sending and give the port back."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._transport:
            self._transport.close()
            self._transport = None

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        sequence, stamp, at, due = 0, 0, 0, loop.time()
        while True:
            if self.target and not self.muted and self._transport:
                piece = self._sound[at : at + FRAME]
                if len(piece) < FRAME:
                    piece += self._sound[: FRAME - len(piece)]
                at = (at + FRAME) % len(self._sound)
                header = struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, stamp & 0xFFFFFFFF, self._ssrc)
                self._transport.sendto(header + piece, self.target)
                self.sent += 1
                sequence += 1
            stamp += FRAME
            due += _PACKET_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
