"""The switch: Asterisk as the shell sees it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from telephony.contract.clock import Instant
from telephony.engine.commands import SwitchCommand


class SwitchError(Exception):
    """A command was refused or not answered in time. `status` is HTTP's, 0 for no answer."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what}: status {status}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One raw event of the switch, already typed by the adapter (see adapters/ari/translate)."""

    kind: str
    node: str
    event: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSeen:
    """A channel in a list: what reconciliation compares."""

    id: str
    state: str
    """Asterisk's: Down, Ring, Ringing, Up …"""
    created: Instant
    in_application: bool
    arguments: tuple[str, ...]
    """Arguments of Stasis(), for callers that we have not met."""
    caller_number: str
    caller_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSeen:
    id: str
    channels: tuple[str, ...]


class Switch(Protocol):
    """Every wait has a deadline inside; errors are SwitchError."""

    async def carry_out(self, command: SwitchCommand) -> None: ...

    async def ping(self) -> None:
        """Answered on the event socket: every frame sent before it has been read when this returns."""
        ...

    async def channels(self) -> list[ChannelSeen]: ...

    async def bridges(self) -> list[BridgeSeen]: ...

    async def renew_lease(self, until_seconds: int) -> None: ...

    def events(self) -> AsyncIterator[Seen]: ...
