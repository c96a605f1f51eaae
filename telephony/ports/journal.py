"""Who writes down what reached a floor, for people and tests to tell again. Never blocks, never raises."""

from typing import Protocol

from telephony.contract.clock import Instant
from telephony.engine import events as e
from telephony.engine.floor import Floor


class Recorder(Protocol):
    def note(self, floor: Floor, event: e.Event | None, now: Instant) -> None:
        """The floor is about to decide this event, or to wake."""
        ...
