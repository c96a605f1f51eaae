"""The switch: Asterisk as the shell sees it.

Upwards come notes: things that happened to channels and devices, named by the switch's own ids. Which call
and tenant a channel belongs to is the shell's knowledge, not the adapter's. Downwards go the engine's
commands, one at a time per lane. Every note and every command belongs to a node, since there may be several
switches one day. Every wait has a deadline inside; errors are SwitchError.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from telephony.contract.clock import Instant
from telephony.contract.ids import Endpoint, TenantId
from telephony.contract.roster import Device
from telephony.engine.commands import SwitchCommand

LANES = 32
"""Commands of one conversation share a lane; lanes run side by side."""


class SwitchError(Exception):
    """A command was refused or not answered in time. `status` is HTTP's, 0 for no answer."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what}: status {status}")
        self.status = status


class LegRefused(SwitchError):
    """The switch would not create or dial an agent's leg: the phone is not registered."""


class SwitchTooOld(Exception):
    """The switch's version lacks what we rely on; the text says which and why."""


# --- notes: what happened -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerCame:
    """A channel entered our application from the inbound context."""

    node: str
    channel: str
    trunk: str
    dialled: str
    """As the dialplan filtered it: digits, perhaps a leading '+'."""
    first_arrival: Instant
    number: str
    name: str
    """Number and name come from outside: cleaned of control and bidirectional characters, bounded."""
    adopted: bool = False
    """Found in a list instead of announced by an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpSeen:
    """A hint, perhaps repeated: the channel is about to end, with this Q.850 cause (0 when unknown)."""

    node: str
    channel: str
    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLeft:
    """The channel left our application; it may live on in the dialplan."""

    node: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEnded:
    node: str
    channel: str
    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUp:
    """The channel was answered."""

    node: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHeld:
    """The phone itself put the call on hold, or took it off."""

    node: str
    channel: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSeen:
    node: str
    endpoint: Endpoint
    reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchUp:
    """Events flow (again). `boot` names the switch's start; another one than before: its calls are gone."""

    node: str
    boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchDown:
    """Events do not flow: we are blind until SwitchUp."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Something may have been missed: compare with the switch's lists."""

    node: str
    why: str
    """A stable code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """Somebody else took our application: their commands are as good as ours, events go to them."""

    node: str


Note = (
    CallerCame
    | HangUpSeen
    | ChannelLeft
    | ChannelEnded
    | ChannelUp
    | ChannelHeld
    | DeviceSeen
    | SwitchUp
    | SwitchDown
    | Doubt
    | Replaced
)


# --- lists: what is -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSeen:
    """A channel in a list: what reconciliation compares."""

    id: str
    state: str
    """Asterisk's: Down, Ring, Ringing, Up …"""
    created: Instant
    in_application: bool
    context: str
    """Of the dialplan; says where a caller is who is not in our application."""
    arguments: tuple[str, ...]
    """Arguments of Stasis(), for callers that we have not met."""
    number: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSeen:
    id: str
    channels: tuple[str, ...]
    ours: bool
    """Made by this shard's daemon."""


class Switch(Protocol):
    """One node."""

    node: str

    def notes(self) -> AsyncIterator[Note]:
        """Until cancelled; connects and reconnects by itself. Raises SwitchTooOld."""
        ...

    async def carry_out(self, command: SwitchCommand, lane: int, shown: str) -> None:
        """`shown` is the caller id on an agent's phone; lane is 0..LANES-1. Raises SwitchError."""
        ...

    def caller(self, seen: ChannelSeen) -> CallerCame | None:
        """The note that would have come had we listened when this channel entered; None for other ones."""
        ...

    def reconnect(self) -> None:
        """Give up this connection and make a new one."""
        ...

    async def give_back(self, channel: str) -> None:
        """Return a caller to the dialplan's fallback; one that is gone is no error."""
        ...

    async def hang_up(self, channel: str) -> None:
        """End a channel of ours that nobody owns; one that is gone is no error."""
        ...

    async def packets(self, leg: str) -> int | None:
        """How many RTP packets came from a leg of ours so far; None when there is no such leg."""
        ...

    async def destroy_bridge(self, bridge: str) -> None: ...

    async def ping(self) -> None:
        """Answered on the event socket. When this returns, every note of a frame sent before the answer has
        been yielded and taken."""
        ...

    async def channels(self) -> list[ChannelSeen]: ...

    async def bridges(self) -> list[BridgeSeen]: ...

    async def devices(self) -> dict[Endpoint, bool]:
        """Every phone that the switch knows, and whether it is reachable."""
        ...

    async def renew_lease(self, seconds: int) -> None:
        """MURIMA_LEASE = the switch's own clock, as of an answer just received, + seconds."""
        ...

    async def provision(self, tenant: TenantId, device: Device) -> bool:
        """Make the device known when it is missing or different; True when something was written."""
        ...

    async def withdraw(self, endpoint: Endpoint) -> None: ...
