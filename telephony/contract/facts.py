"""Facts: what the floor decided is now true.

Past tense, one frozen dataclass each, add-only: a field may be added with a default, never renamed,
removed or given another meaning. No fact holds a phone number, a name, digits or free text: erasure must
be able to reach those, so they live in the party's row and in the tenant's schema. No fact restates another.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, dataclass_transform

from .clock import Instant
from .ids import AgentId, BridgeId, CallId, Endpoint, LegId, NumberId, PartyId, QueueId
from .roster import DeviceKind

FACTS: dict[str, type[Any]] = {}
"""Every kind of fact by its name; producers are closed over it, consumers tolerate what it lacks."""

_T = TypeVar("_T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def fact(cls: type[_T]) -> type[_T]:
    """Make a class a fact: frozen, keyword-only, and known by its name."""
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    FACTS[made.__name__] = made
    return made


class OfferOutcome(StrEnum):
    """How an offer of a work item to an agent ended."""

    ACCEPTED = "accepted"
    MISSED = "missed"
    """Rang until the deadline."""
    DECLINED = "declined"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    """The phone was not registered, or nothing answered the INVITE."""
    WITHDRAWN = "withdrawn"
    """Caller gone, shift ended, supervisor moved it: nobody's miss."""


class VisitOutcome(StrEnum):
    """How a call left a queue; every exit has a name."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    TIMEOUT = "timeout"
    """Waited as long as the queue allows; went to the fallback."""
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    SYSTEM = "system"
    """We lost the call: Asterisk ended it, or nobody could be asked."""


class CallOutcome(StrEnum):
    """How a call ended as a whole."""

    COMPLETED = "completed"
    """Some agent talked to the caller."""
    ABANDONED = "abandoned"
    """The caller hung up before anybody talked to them."""
    DIVERTED = "diverted"
    """Left to the dialplan's fallback."""
    LOST = "lost"
    """Found missing after we were blind; when it ended is not known exactly."""
    FAILED = "failed"


class LegEnd(StrEnum):
    """Why an agent's leg ended."""

    AGENT = "agent"
    """Hung up on purpose, at the desk or on the phone."""
    CALLER = "caller"
    LOST = "lost"
    """Network, tab or phone gone: the caller is kept (see AgentLost)."""
    SYSTEM = "system"


class Intent(StrEnum):
    """What an agent wants; what holds is `view.Effective`."""

    READY = "ready"
    NOT_READY = "not_ready"


class WrapUpEnd(StrEnum):
    """How after-call work ended."""

    FINISHED = "finished"
    TIMEOUT = "timeout"
    SHIFT_ENDED = "shift_ended"


# --- a call's way ---------------------------------------------------------------------------------------


@fact
class CallArrived:
    """A caller entered. `first_arrival` is when the dialplan first saw them, retries included."""

    call: CallId
    node: str
    channel: str
    """Asterisk's id of the caller's channel."""
    leg: LegId
    trunk: str
    number: NumberId
    party: PartyId
    first_arrival: Instant
    policy: str
    """Hash of the manifest in force."""
    adopted: bool = False
    """Found in Asterisk by reconciliation instead of announced by an event."""


@fact
class CallQueued:
    """The caller stands in line; `key` orders it (smaller is served first) and never changes."""

    call: CallId
    visit: int
    """1 for the first queue visit of the call."""
    queue: QueueId
    flow: str
    """Hash of the queue's policy; the call keeps it whatever is published later."""
    demand: str
    key: int
    deadline: Instant
    """When the caller has waited as long as the queue allows."""


@fact
class QueueLeft:
    """The caller is no longer in line."""

    call: CallId
    visit: int
    outcome: VisitOutcome


@fact
class OfferMade:
    """One agent is reserved for one work item and is being rung."""

    call: CallId
    offer: LegId
    """Also the id of the agent's leg."""
    agent: AgentId
    endpoint: Endpoint
    queue: QueueId
    demand: str
    attempt: int
    deadline: Instant
    kind: str = "voice"
    returning: bool = False
    """Rung first because this agent's leg was lost."""
    runner_up: AgentId | None = None
    excluded: tuple[tuple[str, int], ...] = ()
    """(rule, how many agents it excluded), ordered by rule: why nobody else."""


@fact
class OfferEnded:
    """The reservation is over."""

    call: CallId
    offer: LegId
    agent: AgentId
    outcome: OfferOutcome
    cause: int = 0
    """Q.850 cause, 0 when none was given."""
    again: Instant = 0
    """Not asked again before: about this call when declined, about any call when busy. 0: no such pause."""


@fact
class CallConnected:
    """Agent and caller hear each other."""

    call: CallId
    agent: AgentId
    leg: LegId
    bridge: BridgeId


@fact
class CallHeld:
    """The caller left the bridge and hears music."""

    call: CallId
    agent: AgentId


@fact
class CallResumed:
    """The caller is back in the bridge."""

    call: CallId
    agent: AgentId


@fact
class AgentMuted:
    """The agent's microphone is closed, or open again, on our side."""

    call: CallId
    agent: AgentId
    muted: bool


@fact
class AgentLegEnded:
    """The agent's connected leg is gone. The caller's leg never ends because of it."""

    call: CallId
    agent: AgentId
    leg: LegId
    reason: LegEnd
    cause: int = 0


@fact
class AgentLost:
    """The caller is kept with music for the same agent until `until`; then the head of the line."""

    call: CallId
    agent: AgentId
    until: Instant


@fact
class CallDiverted:
    """Our control ended on purpose: the dialplan's fallback has the caller."""

    call: CallId


@fact
class CallEnded:
    """The caller's leg is gone, or we gave it away."""

    call: CallId
    outcome: CallOutcome
    cause: int = 0


# --- agents ---------------------------------------------------------------------------------------------


@fact
class ShiftStarted:
    agent: AgentId
    endpoint: Endpoint
    desktop_required: bool


@fact
class ShiftEnded:
    agent: AgentId
    reason: str
    """`agent`, `supervisor`, `roster`."""


@fact
class StatusSet:
    """The agent's intent. With `waits` it is the next status, taken when the work in hand is done."""

    agent: AgentId
    intent: Intent
    reason: str = ""
    """Code of the not-ready reason (break, lunch …), never free text."""
    waits: bool = False


@fact
class DesktopSeen:
    agent: AgentId
    online: bool


@fact
class PhoneSeen:
    agent: AgentId
    endpoint: Endpoint
    reachable: bool


@fact
class AgentSetAside:
    """Not responding: no more offers until one click says that somebody is there."""

    agent: AgentId
    call: CallId


@fact
class AgentReturned:
    """The click: responding again, with the intent unchanged."""

    agent: AgentId


@fact
class WrapUpStarted:
    agent: AgentId
    call: CallId
    queue: QueueId
    deadline: Instant
    extensions: int
    """How many times it may still be extended."""


@fact
class WrapUpExtended:
    agent: AgentId
    call: CallId
    deadline: Instant


@fact
class WrapUpEnded:
    agent: AgentId
    call: CallId
    how: WrapUpEnd
    disposition: str
    """Code; at a timeout the reserved WRAPUP_TIMEOUT."""


# --- what was published, and who speaks ------------------------------------------------------------------


@fact
class PolicyAdopted:
    policy: str
    version: int


@fact
class RosterAdopted:
    """One agent's row of the roster as of now; `active` False removes the agent from every queue."""

    agent: AgentId
    version: int
    active: bool
    memberships: tuple[tuple[QueueId, int], ...]
    """(queue, penalty), ordered by queue."""
    endpoints: tuple[Endpoint, ...]
    devices: tuple[tuple[Endpoint, DeviceKind, bool], ...] = ()
    """(endpoint, kind, whether being ready needs an open desk), in the roster's order."""


@fact
class OwnerStarted:
    """A daemon took this floor. Everything under an older epoch is finished business of its writer."""

    build: str
