"""The engine's clock: UTC read at the start, advanced by the monotonic clock, slewed towards UTC, never back.

A wall clock that jumps would fire deadlines or stop them; the monotonic clock alone would drift from what
other machines write. So each tick moves the difference by at most half a millisecond per second. A new owner
starts no earlier than the last fact of the log, so that facts never go back in time.
"""

import time
from collections.abc import Callable

from telephony.contract.clock import Duration, Instant

MAX_SLEW_PER_SECOND: Duration = 500


class EngineClock:
    """`utc` and `monotonic` give nanoseconds; they are arguments for tests only."""

    def __init__(
        self,
        last_fact: Instant = 0,
        utc: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._utc = utc
        self._monotonic = monotonic
        self._start = monotonic()
        self._base = max(utc() // 1000, last_fact)
        self._ticked = self._start
        self._last = self._base

    def now(self) -> Instant:
        """Microseconds since the epoch; never less than before."""
        moment = self._base + (self._monotonic() - self._start) // 1000
        if moment > self._last:
            self._last = moment
        return self._last

    @property
    def last(self) -> Instant:
        """What `now` last returned."""
        return self._last

    def tick(self) -> Duration:
        """Slew by what the time since the last tick allows; returns the difference to UTC that remains."""
        mono = self._monotonic()
        allowed = max(0, (mono - self._ticked) // 1000 * MAX_SLEW_PER_SECOND // 1_000_000)
        self._ticked = mono
        off = self._utc() // 1000 - self.now()
        self._base += max(-allowed, min(allowed, off))
        return off
