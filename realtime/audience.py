"""Those who see the same thing: one ring of frames, any number of sockets, one serialisation.

A socket that was away says the last position it saw. When the ring still holds everything from there, it
gets just that: frames of the very position come again, since several can share one, and every frame states
what is rather than what changed. Otherwise it gets a snapshot.
"""

from __future__ import annotations

from collections import deque

from realtime.outbox import Outbox

RING = 256


class Audience:
    def __init__(self, seq: int) -> None:
        self.sockets: set[Outbox] = set()
        self.quiet_since: float | None = None
        """Loop time when the last socket left; None while there is one."""
        self._ring: deque[tuple[int, str]] = deque()
        self._since = seq + 1

    def publish(self, seq: int, text: str) -> None:
        """Keep a frame for those who come back, and queue it for those who are here."""
        if len(self._ring) >= RING:
            self._since = self._ring.popleft()[0] + 1
        self._ring.append((seq, text))
        for socket in self.sockets:
            socket.put(text)

    def after(self, seq: int) -> list[str] | None:
        """The frames that somebody at `seq` may lack; None when the ring does not reach back that far."""
        if seq < self._since:
            return None
        return [text for position, text in self._ring if position >= seq]

    def restart(self, seq: int) -> None:
        """What was published before cannot be continued: forget it, and resync everybody."""
        self._ring.clear()
        self._since = seq + 1
        for socket in self.sockets:
            socket.resync()
