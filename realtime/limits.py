"""How much one socket may say: a bucket of messages that refills at a steady rate."""

from __future__ import annotations

RATE = 20.0
"""Messages a second."""
BURST = 20.0


class Bucket:
    """Full at first. `now` is any clock in seconds that does not go back."""

    def __init__(self, now: float) -> None:
        self._left, self._at = BURST, now

    def take(self, now: float) -> bool:
        """Take one message's worth; False when there is none left."""
        self._left = min(BURST, self._left + (now - self._at) * RATE)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
