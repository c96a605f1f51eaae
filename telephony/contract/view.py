"""The view: one tenant's floor as the facts tell it, and the only code that changes it.

The daemon's floor, a desk's replica, a report and a replay all make the same fold: an empty view or a
checkpoint, and `apply` for every entry after it, in order of seq. One handler per kind of fact, no other
writer. An unknown fact only moves the position. Derived things (who is idle, which deadline is next) are
not here: whoever needs them keeps an index and can rebuild it from the view at any time.

Calls that ended stay until their wrap-up is over, then leave: a view holds the living floor, history is
PostgreSQL's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from . import facts as f
from .clock import Instant
from .frames import Entry, Unknown
from .ids import AgentId, BridgeId, CallId, Endpoint, LegId, PartyId, QueueId, split
from .roster import DeviceKind

RECENT_ASKS = 1024
"""How many ask ids are remembered, so that the same id acts once, also after a restart."""


class CallState(StrEnum):
    ARRIVED = "arrived"
    WAITING = "waiting"
    """In line; an offer may be open at the same time."""
    TALKING = "talking"
    HELD = "held"
    KEPT = "kept"
    """The agent's leg was lost; music, and the same agent is expected back."""
    DIVERTED = "diverted"
    ENDED = "ended"


class Effective(StrEnum):
    """What holds for an agent, computed from intent, leases and devices; never set by anybody."""

    OFFLINE = "offline"
    ON_CALL = "on_call"
    OFFERED = "offered"
    WRAP_UP = "wrap_up"
    NOT_READY = "not_ready"
    NOT_RESPONDING = "not_responding"
    UNREACHABLE = "unreachable"
    READY = "ready"


@dataclass(slots=True, kw_only=True)
class OfferView:
    offer: LegId
    agent: AgentId
    endpoint: Endpoint
    queue: QueueId
    attempt: int
    made: Instant
    deadline: Instant
    returning: bool


@dataclass(slots=True, kw_only=True)
class CallView:
    call: CallId
    channel: str
    leg: LegId
    node: str
    trunk: str
    number: str
    party: PartyId
    arrived: Instant
    """The caller's first arrival: retries and restarts do not make anybody younger."""
    state: CallState = CallState.ARRIVED
    since: Instant = 0
    serial: int = 1
    """The highest n used in `<call>.<n>`."""
    visit: int = 0
    queue: QueueId | None = None
    flow: str = ""
    demand: str = ""
    key: int = 0
    waits_until: Instant = 0
    attempts: int = 0
    refused: dict[AgentId, Instant] = field(default_factory=dict)
    """Who declined or missed this call, and when: asked again only when nobody else is left."""
    again: dict[AgentId, Instant] = field(default_factory=dict)
    """Who declined, and the instant before which they are not asked about this call at all."""
    offer: OfferView | None = None
    agent: AgentId | None = None
    agent_leg: LegId | None = None
    bridge: BridgeId | None = None
    connected: Instant = 0
    """When somebody first talked to the caller, 0 before."""
    muted: bool = False
    kept_until: Instant = 0


@dataclass(slots=True, kw_only=True)
class WrapUpView:
    call: CallId
    queue: QueueId
    started: Instant
    deadline: Instant
    extensions: int


@dataclass(slots=True, kw_only=True)
class AgentView:
    agent: AgentId
    version: int = 0
    active: bool = True
    memberships: dict[QueueId, int] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
    devices: dict[Endpoint, tuple[DeviceKind, bool]] = field(default_factory=dict)
    """Kind of each device, and whether being ready on it needs an open desk."""
    endpoint: Endpoint | None = None
    """The device of the shift, None off shift."""
    desktop_required: bool = True
    desktop: bool = False
    reachable: dict[Endpoint, bool] = field(default_factory=dict)
    intent: f.Intent = f.Intent.NOT_READY
    reason: str = ""
    next_intent: f.Intent | None = None
    next_reason: str = ""
    set_aside: bool = False
    offer: LegId | None = None
    call: CallId | None = None
    keeps: CallId | None = None
    """The caller who is kept with music for this agent, whose leg was lost."""
    cools_until: Instant = 0
    """The phone said busy: no offers before this instant."""
    wrap_up: WrapUpView | None = None
    idle_since: Instant = 0
    """Start of the present time without work; kept through an offer that was withdrawn."""
    last_end: dict[QueueId, Instant] = field(default_factory=dict)
    since: Instant = 0
    """When `effective` last changed."""
    effective: Effective = Effective.OFFLINE

    def missing(self) -> tuple[str, ...]:
        """What keeps a person who wants to be ready from being it, as stable codes."""
        lacks = []
        if self.endpoint is None:
            lacks.append("shift")
        elif not self.reachable.get(self.endpoint, False):
            lacks.append("phone")
        if self.desktop_required and not self.desktop:
            lacks.append("desktop")
        return tuple(lacks)

    def compute(self) -> Effective:
        """The effective state; the order of the tests is the order of precedence."""
        if self.call is not None:
            return Effective.ON_CALL
        if self.offer is not None:
            return Effective.OFFERED
        if self.wrap_up is not None:
            return Effective.WRAP_UP
        if self.endpoint is None or not self.active:
            return Effective.OFFLINE
        if self.intent is f.Intent.NOT_READY:
            return Effective.NOT_READY
        if self.set_aside:
            return Effective.NOT_RESPONDING
        return Effective.UNREACHABLE if self.missing() else Effective.READY


@dataclass(slots=True, kw_only=True)
class View:
    tenant: str
    epoch: int = 0
    seq: int = 0
    at: Instant = 0
    policy: str = ""
    policy_version: int = 0
    calls: dict[CallId, CallView] = field(default_factory=dict)
    agents: dict[AgentId, AgentView] = field(default_factory=dict)
    asks: dict[str, int] = field(default_factory=dict)
    """Recent ask ids and the seq of their last fact, oldest first."""
    unknown: int = 0


def apply(view: View, entry: Entry) -> None:
    """Fold one entry. Entries come in order; one that was seen before is ignored, a gap raises ValueError."""
    if entry.seq <= view.seq:
        return
    if entry.seq != view.seq + 1:
        raise ValueError(f"entry {entry.seq} cannot follow {view.seq}: read the missing entries first")
    view.seq, view.epoch, view.at = entry.seq, entry.epoch, entry.at
    if entry.ask is not None:
        _remember(view, entry.ask, entry.seq)
    handler = _HANDLERS.get(type(entry.fact))
    if handler is None:
        view.unknown += isinstance(entry.fact, Unknown)
        return
    handler(view, entry.fact, entry.at)


def _remember(view: View, ask: str, seq: int) -> None:
    view.asks[ask] = seq
    while len(view.asks) > RECENT_ASKS:
        del view.asks[next(iter(view.asks))]


# --- calls ----------------------------------------------------------------------------------------------


def _arrived(view: View, fact: f.CallArrived, at: Instant) -> None:
    view.calls[fact.call] = CallView(
        call=fact.call,
        channel=fact.channel,
        leg=fact.leg,
        node=fact.node,
        trunk=fact.trunk,
        number=fact.number,
        party=fact.party,
        arrived=fact.first_arrival,
        since=at,
    )


def _queued(view: View, fact: f.CallQueued, at: Instant) -> None:
    call = view.calls[fact.call]
    call.visit, call.queue, call.flow = fact.visit, fact.queue, fact.flow
    call.demand, call.key, call.waits_until = fact.demand, fact.key, fact.deadline
    _keep_no_longer(view, call)
    call.agent = None
    _call_state(call, CallState.WAITING, at)


def _queue_left(view: View, fact: f.QueueLeft, at: Instant) -> None:
    view.calls[fact.call].waits_until = 0


def _offered(view: View, fact: f.OfferMade, at: Instant) -> None:
    call, agent = view.calls[fact.call], _agent(view, fact.agent)
    call.serial = max(call.serial, _serial(fact.offer))
    call.attempts = fact.attempt
    call.offer = OfferView(
        offer=fact.offer,
        agent=fact.agent,
        endpoint=fact.endpoint,
        queue=fact.queue,
        attempt=fact.attempt,
        made=at,
        deadline=fact.deadline,
        returning=fact.returning,
    )
    agent.offer = fact.offer
    _settle(agent, at)


def _offer_ended(view: View, fact: f.OfferEnded, at: Instant) -> None:
    call, agent = view.calls[fact.call], _agent(view, fact.agent)
    call.offer = None
    agent.offer = None
    if fact.outcome not in (f.OfferOutcome.ACCEPTED, f.OfferOutcome.WITHDRAWN):
        call.refused[fact.agent] = at
        agent.idle_since = at
    if fact.outcome is f.OfferOutcome.DECLINED:
        call.again[fact.agent] = fact.again
    if fact.outcome is f.OfferOutcome.BUSY:
        agent.cools_until = fact.again
    if fact.outcome is not f.OfferOutcome.ACCEPTED:
        _settle(agent, at)


def _connected(view: View, fact: f.CallConnected, at: Instant) -> None:
    call, agent = view.calls[fact.call], _agent(view, fact.agent)
    _keep_no_longer(view, call)
    call.serial = max(call.serial, _serial(fact.leg), _serial(fact.bridge))
    call.agent, call.agent_leg, call.bridge = fact.agent, fact.leg, fact.bridge
    call.connected = call.connected or at
    call.muted = False
    agent.call = fact.call
    _call_state(call, CallState.TALKING, at)
    _settle(agent, at)


def _held(view: View, fact: f.CallHeld, at: Instant) -> None:
    _call_state(view.calls[fact.call], CallState.HELD, at)


def _resumed(view: View, fact: f.CallResumed, at: Instant) -> None:
    _call_state(view.calls[fact.call], CallState.TALKING, at)


def _muted(view: View, fact: f.AgentMuted, at: Instant) -> None:
    view.calls[fact.call].muted = fact.muted


def _leg_ended(view: View, fact: f.AgentLegEnded, at: Instant) -> None:
    call, agent = view.calls[fact.call], _agent(view, fact.agent)
    call.agent_leg = call.bridge = None
    call.muted = False
    agent.call = None
    if call.queue is not None:
        agent.last_end[call.queue] = at
    agent.idle_since = at
    _settle(agent, at)


def _lost(view: View, fact: f.AgentLost, at: Instant) -> None:
    call = view.calls[fact.call]
    call.kept_until = fact.until
    _agent(view, fact.agent).keeps = fact.call
    _call_state(call, CallState.KEPT, at)


def _keep_no_longer(view: View, call: CallView) -> None:
    call.kept_until = 0
    keeper = view.agents.get(call.agent) if call.agent is not None else None
    if keeper is not None and keeper.keeps == call.call:
        keeper.keeps = None


def _diverted(view: View, fact: f.CallDiverted, at: Instant) -> None:
    call = view.calls[fact.call]
    _keep_no_longer(view, call)
    _call_state(call, CallState.DIVERTED, at)


def _ended(view: View, fact: f.CallEnded, at: Instant) -> None:
    call = view.calls[fact.call]
    _keep_no_longer(view, call)
    _call_state(call, CallState.ENDED, at)
    _forget_if_done(view, fact.call)


def _forget_if_done(view: View, call: CallId) -> None:
    """An ended call stays while somebody still writes it up."""
    found = view.calls.get(call)
    if found is None or found.state is not CallState.ENDED:
        return
    writer = view.agents.get(found.agent) if found.agent is not None else None
    if writer is None or writer.wrap_up is None or writer.wrap_up.call != call:
        del view.calls[call]


def _call_state(call: CallView, state: CallState, at: Instant) -> None:
    if call.state is not state:
        call.state, call.since = state, at


def _serial(part: str) -> int:
    found = split(part)
    return found[1] if found else 0


# --- agents ---------------------------------------------------------------------------------------------


def _agent(view: View, agent: AgentId) -> AgentView:
    return view.agents.setdefault(agent, AgentView(agent=agent))


def _settle(agent: AgentView, at: Instant) -> None:
    """Recompute the effective state; an offer that was withdrawn starts no new idle time."""
    now = agent.compute()
    if now is agent.effective:
        return
    if now is Effective.READY and agent.effective is not Effective.OFFERED:
        agent.idle_since = at
    agent.effective, agent.since = now, at


def _shift_started(view: View, fact: f.ShiftStarted, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.endpoint, agent.desktop_required = fact.endpoint, fact.desktop_required
    agent.intent, agent.reason, agent.set_aside = f.Intent.NOT_READY, "", False
    agent.next_intent, agent.next_reason = None, ""
    _settle(agent, at)


def _shift_ended(view: View, fact: f.ShiftEnded, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.endpoint, agent.intent, agent.reason, agent.set_aside = None, f.Intent.NOT_READY, "", False
    agent.next_intent, agent.next_reason = None, ""
    _settle(agent, at)


def _status_set(view: View, fact: f.StatusSet, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    if fact.waits:
        agent.next_intent, agent.next_reason = fact.intent, fact.reason
        return
    agent.intent, agent.reason = fact.intent, fact.reason
    agent.next_intent, agent.next_reason = None, ""
    agent.set_aside = False
    _settle(agent, at)


def _desktop_seen(view: View, fact: f.DesktopSeen, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.desktop = fact.online
    _settle(agent, at)


def _phone_seen(view: View, fact: f.PhoneSeen, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.reachable[fact.endpoint] = fact.reachable
    _settle(agent, at)


def _set_aside(view: View, fact: f.AgentSetAside, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.set_aside = True
    _settle(agent, at)


def _returned(view: View, fact: f.AgentReturned, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.set_aside = False
    _settle(agent, at)


def _wrap_up_started(view: View, fact: f.WrapUpStarted, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.wrap_up = WrapUpView(
        call=fact.call, queue=fact.queue, started=at, deadline=fact.deadline, extensions=fact.extensions
    )
    _settle(agent, at)


def _wrap_up_extended(view: View, fact: f.WrapUpExtended, at: Instant) -> None:
    wrap_up = _agent(view, fact.agent).wrap_up
    if wrap_up is not None:
        wrap_up.deadline = fact.deadline
        wrap_up.extensions -= 1


def _wrap_up_ended(view: View, fact: f.WrapUpEnded, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.wrap_up = None
    agent.idle_since = at
    _settle(agent, at)
    _forget_if_done(view, fact.call)


# --- published things -----------------------------------------------------------------------------------


def _policy(view: View, fact: f.PolicyAdopted, at: Instant) -> None:
    view.policy, view.policy_version = fact.policy, fact.version


def _roster(view: View, fact: f.RosterAdopted, at: Instant) -> None:
    agent = _agent(view, fact.agent)
    agent.version, agent.active = fact.version, fact.active
    agent.memberships = dict(fact.memberships)
    agent.endpoints = fact.endpoints
    agent.devices = {endpoint: (kind, desk) for endpoint, kind, desk in fact.devices}
    agent.reachable = {each: agent.reachable.get(each, False) for each in fact.endpoints}
    _settle(agent, at)


_HANDLERS: dict[type, Callable[[View, Any, Instant], None]] = {
    f.CallArrived: _arrived,
    f.CallQueued: _queued,
    f.QueueLeft: _queue_left,
    f.OfferMade: _offered,
    f.OfferEnded: _offer_ended,
    f.CallConnected: _connected,
    f.CallHeld: _held,
    f.CallResumed: _resumed,
    f.AgentMuted: _muted,
    f.AgentLegEnded: _leg_ended,
    f.AgentLost: _lost,
    f.CallDiverted: _diverted,
    f.CallEnded: _ended,
    f.ShiftStarted: _shift_started,
    f.ShiftEnded: _shift_ended,
    f.StatusSet: _status_set,
    f.DesktopSeen: _desktop_seen,
    f.PhoneSeen: _phone_seen,
    f.AgentSetAside: _set_aside,
    f.AgentReturned: _returned,
    f.WrapUpStarted: _wrap_up_started,
    f.WrapUpExtended: _wrap_up_extended,
    f.WrapUpEnded: _wrap_up_ended,
    f.PolicyAdopted: _policy,
    f.RosterAdopted: _roster,
}
