"""Waiting for progress, and waiting before a retry."""

import asyncio
import random
from collections.abc import Callable


class Progress:
    """Wakes whoever waits for a condition when something moved and the condition holds: steps come by the
    hundred, and looking costs less than waking somebody up to look."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def tell(self) -> None:
        """Something moved. Call it in the event loop's thread."""
        for waiter, condition in self._waiting.items():
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool], within: float | None = None) -> bool:
        """Wait until the condition holds; False when `within` seconds passed first. Level-triggered: it is
        looked at once more by the one who waited."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    await self._told(condition)
        except TimeoutError:
            return condition()
        return True

    async def _told(self, condition: Callable[[], bool]) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = condition
        try:
            await waiter
        finally:
            del self._waiting[waiter]


class Backoff:
    """Full jitter: each pause is random up to a bound that doubles until `cap`."""

    def __init__(self, base: float = 0.1, cap: float = 2.0) -> None:
        self._base, self._cap, self._tries = base, cap, 0

    def reset(self) -> None:
        self._tries = 0

    async def pause(self) -> None:
        bound = min(self._cap, self._base * 2 ** min(self._tries, 16))
        self._tries += 1
        await asyncio.sleep(random.uniform(self._base / 2, bound))
