"""The door in front of the switch.

A daemon that stood still (stopped, swapped out, a long collection) must not act on what it knew before: the
world has moved, and another daemon may own the calls. So the door closes by itself when the loop stood for
more than a second, and opens when the switch answered a ping that was sent afterwards, every event sent
before that answer has been decided, and the epoch is still ours. It is also closed while the switch is
away, and for good when another daemon was seen. The time the loop stood is looked at inline, before each
turn and each command, because after a stall a timer may come later than the first event.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from telephony.shell import meters

STALL_SECONDS = 1.0
TICK_SECONDS = 0.2


class Door:
    """`on_stall` is called, once per stall, before anything else is decided or sent."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._ticked = clock()
        self._reasons: dict[str, None] = {}
        self._open = asyncio.Event()
        self._longest = 0.0
        self.on_stall: Callable[[float], None] = lambda seconds: None
        self._show()

    @property
    def is_open(self) -> bool:
        return not self._reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(self._reasons)

    def close(self, reason: str) -> None:
        """Reasons add up; each must be lifted."""
        self._reasons[reason] = None
        self._show()

    def lift(self, reason: str) -> None:
        self._reasons.pop(reason, None)
        self._show()

    def check(self) -> bool:
        """Notice a stall; returns whether the door is open now."""
        now = self._clock()
        stood = now - self._ticked
        self._longest = max(self._longest, stood)
        if stood > STALL_SECONDS:
            self._ticked = now
            meters.STALLS.inc()
            meters.LONGEST_STALL.set(self._longest)
            self.close("stall")
            self.on_stall(stood)
        return self.is_open

    async def passage(self) -> None:
        """Wait until the door is open."""
        while not self.check():
            await self._open.wait()

    async def tick(self) -> None:
        """Runs for ever beside the loop's work. What was before it began is no stall."""
        self._ticked = self._clock()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.check()
            self._ticked = self._clock()
            meters.LONGEST_STALL.set(self._longest)

    def _show(self) -> None:
        meters.DOOR.set(1 if self.is_open else 0)
        if self.is_open:
            self._open.set()
        else:
            self._open.clear()
