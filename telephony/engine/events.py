"""Events: what happened outside, in the past tense, as the floor's inbox receives it.

Adapters and shell make them; nothing in them is decided. An event may come twice, late or never: the floor
answers each (state, event) with a transition or with `ignored(reason)`.
"""

from dataclasses import dataclass

from telephony.contract.asks import Envelope
from telephony.contract.clock import Instant
from telephony.contract.ids import AgentId, CallId, Endpoint, LegId, NumberId, PartyId
from telephony.contract.policy import Policy
from telephony.contract.roster import RosterRow


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEntered:
    """A caller's channel is under our control. `call` and `party` were made by the shell just now."""

    call: CallId
    party: PartyId
    node: str
    channel: str
    trunk: str
    number: NumberId
    first_arrival: Instant
    adopted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerGone:
    """The caller's channel ended or left our control."""

    call: CallId
    cause: int = 0
    diverted: bool = False
    """It left for the dialplan, as we had asked, or on its own time-out."""
    missing: bool = False
    """Reconciliation found it gone: when and why it ended is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered:
    call: CallId
    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class LegGone:
    """An agent's leg ended, rejected the call, or never came to be."""

    call: CallId
    leg: LegId
    cause: int = 0
    """Q.850: 16 normal, 17 busy, 19 no answer, 20 unregistered, 21 rejected, 31 a browser's wilful end."""
    refused: bool = False
    """Asterisk would not create or dial it: an unregistered phone."""
    missing: bool = False
    """Reconciliation found it gone: perhaps it ended unheard, perhaps it never came to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHeld:
    """The phone itself put the call on hold (re-INVITE), or took it off: an ask in SIP's clothes."""

    call: CallId
    leg: LegId
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneChanged:
    """A device became reachable or unreachable."""

    agent: AgentId
    endpoint: Endpoint
    reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed:
    """A command about a call could not be carried out: `what` is its class, `status` HTTP's, 0: no answer."""

    call: CallId
    part: str
    """The leg or bridge it was about; the call's own id when it was about the caller."""
    what: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Somebody asks; the shell has checked seal and shape."""

    envelope: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPublished:
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterPublished:
    row: RosterRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarted:
    """The first event of a new owner: deadlines and offers wait until `OffersOpened`."""

    build: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OffersOpened:
    """Reconciled: callers in the retry loop are back or 3 s have passed; offers may be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffersPaused:
    """Blind (switch lost, door closed): make no new offers until `OffersOpened`."""


Event = (
    CallerEntered
    | CallerGone
    | LegAnswered
    | LegGone
    | PhoneHeld
    | PhoneChanged
    | CommandFailed
    | Asked
    | PolicyPublished
    | RosterPublished
    | DaemonStarted
    | OffersOpened
    | OffersPaused
)
