"""What the local stack tells the person in front of it.

Lines go to standard error, so that a script may read standard output; a long step shows that it
moves: on a terminal one line is rewritten, elsewhere (CI) a line is printed every few seconds.
"""

from __future__ import annotations

import sys
import time

_EVERY_SECONDS = 5.0


class Trouble(Exception):
    """Something a person has to know and can act on; its text says what, why and what to do."""


def say(text: str) -> None:
    """Print one line."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Shows how far a step of `total` units (bytes, files) has come."""

    def __init__(self, label: str, total: int, unit: str = "MB", scale: float = 1e6) -> None:
        self._label, self._total, self._unit, self._scale = label, total, unit, scale
        self._done = 0
        self._shown_at = time.monotonic()
        self._tty = sys.stderr.isatty()

    def add(self, amount: int) -> None:
        """Count `amount` more units as done and show it when it is time."""
        self._done += amount
        interval = 0.2 if self._tty else _EVERY_SECONDS
        if time.monotonic() - self._shown_at >= interval:
            self._shown_at = time.monotonic()
            self._show(end="\r" if self._tty else "\n")

    def finish(self) -> None:
        """Show the final state on a line of its own."""
        self._done = max(self._done, self._total)
        self._show(end="\n")

    def _show(self, end: str) -> None:
        done, total = self._done / self._scale, self._total / self._scale
        print(
            f"  {self._label}: {done:.0f} of {total:.0f} {self._unit}", file=sys.stderr, end=end, flush=True
        )
