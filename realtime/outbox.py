"""One socket's way out: bounded, never waiting, honest when it must drop.

The follower puts finished text here and goes on; the socket's pump takes it at the client's own speed. A
client that falls more than LIMIT frames behind loses what is queued and gets a fresh snapshot instead, made
when it can be sent. Twice within TWICE_SECONDS means the client cannot follow: the socket ends with TOO_SLOW.
Answers to the client's own messages are never dropped; their number is bounded by the message rate.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from realtime import meters
from realtime.messages import CLOSE_CODES

LIMIT = 256
TWICE_SECONDS = 10.0
GREETING = -1

Snapshot = Callable[[], list[str]]
"""The frames that stand for everything before; empty while there is nothing to show yet."""


class Outbox:
    """Frames waiting for one socket. Not thread-safe: one event loop owns it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._frames: deque[str] = deque()
        self._answers: deque[tuple[int, str]] = deque()
        self._taken = 0
        self._resync = False
        self._overflowed_at = float("-inf")
        self._close: int | None = None
        self._wake = asyncio.Event()
        self.resumed = False
        """Whether the frames here continue what the client saw before, so that no snapshot comes first."""

    def put(self, text: str) -> None:
        """Queue a frame that a snapshot can stand for."""
        if self._resync or self._close is not None:
            return
        if len(self._frames) >= LIMIT:
            self._overflow()
            return
        self._frames.append(text)
        self._wake.set()

    def answer(self, text: str) -> None:
        """Queue what answers a client's message, behind the frames queued by now."""
        self._answers.append((self._taken + len(self._frames), text))
        self._wake.set()

    def greet(self, text: str) -> None:
        """Queue what comes before everything else."""
        self._answers.appendleft((GREETING, text))
        self._wake.set()

    def resync(self) -> None:
        """Forget what is queued and send a snapshot as soon as there is one."""
        self._frames.clear()
        self._resync = True
        self._wake.set()

    def close(self, code: int) -> None:
        """End the socket with this code; what is queued is not sent any more."""
        if self._close is None:
            self._close = code
        self._wake.set()

    @property
    def closing(self) -> bool:
        return self._close is not None

    def _overflow(self) -> None:
        meters.OVERFLOWS.inc()
        now = asyncio.get_running_loop().time()
        if now - self._overflowed_at < TWICE_SECONDS:
            self.close(CLOSE_CODES["TOO_SLOW"])
        self._overflowed_at = now
        self.resync()

    async def pump(self, send: Callable[[str], Awaitable[None]]) -> int:
        """Send until somebody closes the box; returns the close code. Errors of `send` pass through."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (text := self._next()) is not None:
                await send(text)
                meters.SENT.inc()
            if self._close is not None:
                return self._close

    def _next(self) -> str | None:
        if self._close is not None:
            return None
        if self._resync:
            fresh = self._snapshot()
            if fresh:
                self._resync = False
                self._frames.extend(fresh)
                # An answer's position counts as seen: it must not overtake what stands for the lost frames.
                behind = self._taken + len(self._frames)
                self._answers = deque((behind if at > GREETING else at, text) for at, text in self._answers)
        if self._answers and (not self._frames or self._answers[0][0] <= self._taken):
            return self._answers.popleft()[1]
        if not self._frames:
            return None
        self._taken += 1
        return self._frames.popleft()
