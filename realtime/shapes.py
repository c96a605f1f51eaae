"""From the replica to what is shown: pure functions, one per message part.

Instants become text here, identifiers stay, and names are added from the directory: what the tenant calls
its queues and people, and what is known about the parties of live calls. Nothing here waits or remembers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from realtime import messages as m
from realtime.tally import Tally
from telephony.contract import clock
from telephony.contract.ids import AgentId, CallId, PartyId, QueueId
from telephony.contract.view import AgentView, CallState, CallView, View


@dataclass
class Directory:
    """Names that the facts do not hold. Missing ones are shown as empty until they are known."""

    queues: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    parties: dict[PartyId, m.Who] = field(default_factory=dict)
    pops: dict[CallId, m.Pop] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def when(instant: int) -> str:
    return clock.to_text(instant)


def maybe(instant: int) -> str | None:
    """Text of an instant; None for 0, which is the fold's 'never'."""
    return when(instant) if instant else None


def queue_ref(queue: QueueId, names: Directory) -> m.QueueRef:
    return m.QueueRef(id=queue, name=names.queues.get(queue, ""))


def phase(state: CallState) -> m.CallPhase:
    return cast(m.CallPhase, "waiting" if state is CallState.ARRIVED else state.value)


def agent_state(agent: AgentView, names: Directory) -> m.AgentState:
    wrap_up = agent.wrap_up
    waits = agent.next_intent
    return m.AgentState(
        id=agent.agent,
        effective=agent.effective,
        since=when(agent.since),
        intent=agent.intent,
        reason=agent.reason,
        next=m.NextStatus(intent=waits, reason=agent.next_reason) if waits is not None else None,
        missing=cast(list[m.Missing], list(agent.missing())),
        set_aside=agent.set_aside,
        shift=m.ShiftState(endpoint=agent.endpoint) if agent.endpoint is not None else None,
        wrap_up=None
        if wrap_up is None
        else m.WrapUpState(
            call=wrap_up.call,
            queue=queue_ref(wrap_up.queue, names),
            started_at=when(wrap_up.started),
            deadline=when(wrap_up.deadline),
            extensions_left=wrap_up.extensions,
        ),
    )


def offer(call: CallView, names: Directory) -> m.Offer | None:
    made = call.offer
    if made is None:
        return None
    return m.Offer(
        id=made.offer,
        call=call.call,
        queue=queue_ref(made.queue, names),
        attempt=made.attempt,
        made_at=when(made.made),
        deadline=when(made.deadline),
        arrived_at=when(call.arrived),
        returning=made.returning,
        party=names.parties.get(call.party),
    )


def call_state(call: CallView, names: Directory, state: m.CallPhase | None = None) -> m.CallState:
    pop = names.pops.get(call.call)
    return m.CallState(
        id=call.call,
        state=state or phase(call.state),
        since=when(call.since),
        queue=queue_ref(call.queue, names) if call.queue is not None else None,
        arrived_at=when(call.arrived),
        connected_at=maybe(call.connected),
        muted=call.muted,
        kept_until=maybe(call.kept_until),
        leg=call.agent_leg,
        party=names.parties.get(call.party),
        contact=pop.contact if pop is not None else None,
    )


def queue_state(queue: QueueId, tally: Tally, names: Directory) -> m.QueueState:
    waiting = tally.waiting.get(queue, {})
    return m.QueueState(
        id=queue,
        name=names.queues.get(queue, ""),
        waiting=len(waiting),
        oldest_arrival=when(min(waiting.values())) if waiting else None,
        ready=len(tally.ready.get(queue, ())),
        busy=len(tally.busy.get(queue, ())),
    )


def floor_agent(agent: AgentView, names: Directory) -> m.FloorAgent:
    return m.FloorAgent(
        id=agent.agent,
        name=names.people.get(agent.agent, ""),
        effective=agent.effective,
        since=when(agent.since),
        reason=agent.reason,
        missing=cast(list[m.Missing], list(agent.missing())),
        queues=list(agent.memberships),
        call=agent.call,
    )


def floor_call(call: CallView, names: Directory) -> m.FloorCall:
    return m.FloorCall(
        id=call.call,
        state=phase(call.state),
        since=when(call.since),
        queue=queue_ref(call.queue, names) if call.queue is not None else None,
        arrived_at=when(call.arrived),
        connected_at=maybe(call.connected),
        agent=call.agent,
        offered_to=call.offer.agent if call.offer is not None else None,
    )


def desk_call(view: View, agent: AgentView, kept: CallId | None) -> CallView | None:
    """The call that a desk shows: the one in hand, the one that waits for this agent, the one written up."""
    for each in (agent.call, kept, agent.wrap_up.call if agent.wrap_up is not None else None):
        found = view.calls.get(each) if each is not None else None
        if found is not None:
            return found
    return None


def stranger(agent: AgentId) -> AgentView:
    """Somebody whom the floor does not know yet."""
    return AgentView(agent=agent)
