"""Waiting for progress, and waiting before a retry."""

import asyncio
import random
from collections.abc import Callable


class Progress:
    """Wakes whoever waits for a condition whenever something moved. Level-triggered: no wake-up is lost."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        """Something moved: let every waiter look again. Call it in the event loop's thread."""
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def until(self, condition: Callable[[], bool], within: float | None = None) -> bool:
        """Wait until the condition holds; False when `within` seconds passed first."""
        loop = asyncio.get_running_loop()
        deadline = None if within is None else loop.time() + within
        while not condition():
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            waiter = loop.create_future()
            self._waiting.add(waiter)
            try:
                await asyncio.wait({waiter}, timeout=left)
            finally:
                self._waiting.discard(waiter)
        return True


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
