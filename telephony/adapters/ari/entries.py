"""Legs on their way into the application.

A leg can be dialled once it has entered, a millisecond or two after it was made; before that Asterisk says
409. Its StasisStart says so, and may overtake the answer to the request that made the leg. Whoever waits for
it saves asking and being refused. Waiting is bounded: a daemon that is busy, or has just lost the event
socket, sees the event late or never, and then asks as often as it takes.
"""

import asyncio

WITHIN = 0.05
"""Seconds; by then a leg has long entered, and only the news of it is late."""


class Entries:
    """`expect` before the leg is made, `entered` when its event was read, `wait` before the dial."""

    def __init__(self) -> None:
        self._expected: dict[str, asyncio.Event] = {}

    def expect(self, leg: str) -> None:
        self._expected[leg] = asyncio.Event()

    def entered(self, leg: str) -> None:
        """News of any channel; those that nobody expects are none of ours."""
        expected = self._expected.get(leg)
        if expected is not None:
            expected.set()

    async def wait(self, leg: str) -> None:
        """Returns when the leg has entered, or after WITHIN; at once for one that was not expected."""
        expected = self._expected.get(leg)
        if expected is None:
            return
        try:
            async with asyncio.timeout(WITHIN):
                await expected.wait()
        except TimeoutError:
            pass

    def forget(self, leg: str) -> None:
        """Nobody waits for it any more."""
        self._expected.pop(leg, None)
