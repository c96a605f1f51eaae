"""Who is calling, for the ring cards of one tenant: looked up for all at once who wait for it.

One look-up at a time. Who asks while one is under way goes with all others who do into the next. So a quiet
tenant's card waits for nobody, and the busier a tenant is, the less each of its cards costs the database.
What nobody rings for or talks to any more when its turn comes is not looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from realtime.replica import Desk
from telephony.contract.view import CallView

DEADLINE = 5.0
MOST = 100
"""So many in one look-up."""

log = structlog.get_logger(__name__)


class Wanted(NamedTuple):
    """A desk that was shown a call."""

    desk: Desk
    call: CallView

    @property
    def leg(self) -> str:
        """The leg that rings the desk, or that talks there."""
        leg = self.call.offer.offer if self.call.offer is not None else self.call.agent_leg
        return str(leg or "")


class Pops:
    """`look` finds and shows the pops of a batch; `spawn` runs a task for as long as the feed lives."""

    def __init__(
        self,
        tenant: str,
        look: Callable[[list[Wanted]], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._tenant, self._look, self._spawn = tenant, look, spawn
        self._waiting: list[Wanted] = []
        self._under_way = False

    def ask(self, desk: Desk, call: CallView) -> None:
        """Show this desk who is calling, soon; the card itself is long on the screen by now."""
        self._waiting.append(Wanted(desk, call))
        if not self._under_way:
            self._under_way = True
            self._spawn(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._take(batch)
        finally:
            self._under_way = False

    async def _take(self, batch: list[Wanted]) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                await self._look(batch)
        except Exception as error:  # no card is better than a dead desk; the number is already there
            for _, call in batch:
                log.warning("pop_failed", tenant=self._tenant, call=call.call, error=type(error).__name__)
