"""Callers from outside: real SIP calls on the trunk, at random moments with a given mean rate.

A caller waits as long as people do, talks for a while when somebody answers, and hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

from deployment.dev.sip.caller import Caller, OutgoingCall
from web.tenant.calls.demo.cast import Stage

AT_ONCE = 40


class Callers:
    """`run` places calls until `minutes` are over (None: until cancelled); returns how many."""

    def __init__(
        self,
        stages: Sequence[Stage],
        trunk: tuple[str, int],
        source: str,
        voices: Sequence[bytes],
        chance: random.Random,
        say: Callable[[str], None],
        stay: tuple[float, float] = (20.0, 60.0),
    ) -> None:
        """`stay`: least and most seconds a caller is on the line, waiting and talking together."""
        self._stages, self._trunk, self._source = stages, trunk, source
        self._voices, self._chance, self._say = voices, chance, say
        self._stay = stay
        self._placed = self._answered = 0

    async def run(self, rate: float, minutes: float | None) -> tuple[int, int]:
        """(placed, answered). Cancelled, it hangs up what is going on and returns, too."""
        calls: set[asyncio.Task[None]] = set()
        async with Caller(self._trunk, self._source) as outside:
            try:
                await self._place(outside, calls, 60 / rate, minutes)
                await asyncio.gather(*calls)
            except asyncio.CancelledError:
                self._say("hanging up")
            for task in calls:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        return self._placed, self._answered

    async def _place(
        self, outside: Caller, calls: set[asyncio.Task[None]], mean: float, minutes: float | None
    ) -> None:
        loop = asyncio.get_running_loop()
        end = None if minutes is None else loop.time() + minutes * 60
        while end is None or loop.time() < end:
            if len(calls) < AT_ONCE:
                task = loop.create_task(self._call(outside))
                calls.add(task)
                task.add_done_callback(calls.discard)
            await asyncio.sleep(self._chance.expovariate(1 / mean))

    async def _call(self, outside: Caller) -> None:
        stage = self._chance.choice(self._stages)
        number, queue = self._chance.choice(stage.numbers)
        voice = self._chance.choice(self._voices)
        call = await outside.dial(number, caller=stage.caller(self._chance), speech=voice)
        self._placed += 1
        name = f"call {self._placed} to {stage.slug}, {queue}"
        self._say(f"{name}: on its way")
        self._say(f"{name}: {await self._talk(call)}")
        await call.close()

    async def _talk(self, call: OutgoingCall) -> str:
        """How it went. Murima answers at once and plays music, so only the sound tells music from a person;
        the time on the line is therefore patience and talk together."""
        try:
            await call.answered(15)
        except (TimeoutError, ConnectionError):
            await call.cancel()
            return "not taken"
        self._answered += 1
        with contextlib.suppress(TimeoutError):
            await call.ended(self._chance.uniform(*self._stay))
            return "hung up there"
        await call.hang_up()
        return "hung up here"
