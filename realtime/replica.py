"""One tenant's floor as this process knows it, and who is told what about it.

A batch of entries is folded first, then compared with what each audience was last told; what differs goes
out, serialised once per audience. So a batch that took a second to arrive says what is true now, not all
that was true in between. A desk hears of its own agent, offer and call, and of the counts of its own queues;
counts are gathered and sent by `flush_queues`, which the feed calls a few times a second.

Everything here is synchronous and belongs to one event loop: no reader ever sees half a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from realtime import messages as m
from realtime import meters, shapes
from realtime.audience import Audience
from realtime.frames import frame
from realtime.shapes import Directory
from realtime.tally import Tally
from telephony.contract import facts as f
from telephony.contract.frames import Entry
from telephony.contract.ids import AgentId, CallId, LegId, QueueId
from telephony.contract.view import AgentView, CallState, CallView, View, apply

_OWNED = frozenset({CallState.TALKING, CallState.HELD, CallState.KEPT})


class Desk(Audience):
    """One agent's sockets, and what they were last told."""

    def __init__(self, seq: int, agent: AgentId) -> None:
        super().__init__(seq)
        self.agent = agent
        self.told_agent: m.AgentState | None = None
        self.told_offer: m.Offer | None = None
        self.told_call: m.CallState | None = None
        self.told_queues: frozenset[QueueId] = frozenset()


@dataclass
class Touched:
    """What a batch of entries may have changed."""

    calls: set[CallId] = field(default_factory=set)
    agents: set[AgentId] = field(default_factory=set)
    outcomes: dict[LegId, f.OfferOutcome] = field(default_factory=dict)
    missed: set[AgentId] = field(default_factory=set)


class Replica:
    def __init__(self, tenant: str) -> None:
        self.view = View(tenant=tenant)
        self.names = Directory()
        self.tally = Tally(self.view)
        self.desks: dict[AgentId, Desk] = {}
        self.floor: Audience | None = None
        self.wallboard: Audience | None = None
        self.live: m.Live = "offline"
        self._owned: dict[AgentId, set[CallId]] = {}
        self._owner: dict[CallId, AgentId] = {}
        self._told_queues: dict[QueueId, m.QueueState] = {}
        self._told_agents: dict[AgentId, m.FloorAgent] = {}
        self._told_calls: dict[CallId, m.FloorCall] = {}
        self._wall_dirty: set[QueueId] = set()

    # --- the fold --------------------------------------------------------------------------------------

    def replace(self, view: View) -> None:
        """Take another view as the truth; everybody is resynced."""
        self.view, self.tally = view, Tally(view)
        self._owned, self._owner = {}, {}
        for call in view.calls:
            self._recount(call)
        self._told_queues.clear()
        self.resync()

    def resync(self) -> None:
        """Tell everybody everything anew."""
        self._remember_floor()
        for audience in self.audiences():
            if isinstance(audience, Desk):
                self._remember(audience)
            audience.restart(self.view.seq)

    def fold(self, entries: Iterable[Entry]) -> Touched:
        """Apply entries in order and keep the counts; nothing is sent yet. Raises ValueError at a gap."""
        touched = Touched()
        for entry in entries:
            if entry.seq <= self.view.seq:
                continue
            call: CallId | None = getattr(entry.fact, "call", None)
            self._touch(entry.fact, call, touched)
            apply(self.view, entry)
            meters.FOLLOWED.inc()
            self._touch_people(call, touched)
        for call in touched.calls:
            self._recount(call)
        for agent in touched.agents:
            found = self.view.agents.get(agent)
            if found is not None:
                self.tally.touch_agent(found)
        return touched

    def _touch(self, fact: Any, call: CallId | None, touched: Touched) -> None:
        agent: AgentId | None = getattr(fact, "agent", None)
        if agent is not None:
            touched.agents.add(agent)
        if call is not None:
            touched.calls.add(call)
            self._touch_people(call, touched)
        if isinstance(fact, f.OfferEnded):
            touched.outcomes[fact.offer] = fact.outcome
            if fact.outcome is f.OfferOutcome.MISSED:
                touched.missed.add(fact.agent)

    def _touch_people(self, call: CallId | None, touched: Touched) -> None:
        found = self.view.calls.get(call) if call is not None else None
        if found is not None:
            people = (found.agent, found.offer.agent if found.offer is not None else None)
            touched.agents.update(each for each in people if each is not None)

    def _recount(self, call: CallId) -> None:
        found = self.view.calls.get(call)
        self.tally.touch_call(call, found)
        before = self._owner.pop(call, None)
        if before is not None:
            self._owned[before].discard(call)
        if found is not None and found.agent is not None and _owned(found):
            self._owned.setdefault(found.agent, set()).add(call)
            self._owner[call] = found.agent

    def _oldest(self, agent: AgentId) -> CallId | None:
        """The call that talks to this agent or is kept for them; ids sort by age."""
        return min(self._owned.get(agent, ()), default=None)

    # --- telling ---------------------------------------------------------------------------------------

    def tell(self, touched: Touched) -> list[tuple[Desk, CallView]]:
        """Send every audience what changed for it. Returns the offers that were shown just now."""
        shown = []
        for agent in touched.agents:
            desk = self.desks.get(agent)
            if desk is not None:
                call = self._tell_desk(desk, touched)
                if call is not None:
                    shown.append((desk, call))
        if self.floor is not None:
            self._tell_floor(self.floor, touched)
        for gone in touched.calls - self.view.calls.keys():
            self.names.pops.pop(gone, None)
        return shown

    def _tell_desk(self, desk: Desk, touched: Touched) -> CallView | None:
        agent = self.agent(desk.agent)
        if frozenset(agent.memberships) != desk.told_queues:
            self._remember(desk)
            desk.restart(self.view.seq)
            return None
        fresh = self._tell_offer(desk, agent, touched)
        # Before the call: an ended call stays on the desk only for a wrap-up that the client must know of.
        state = shapes.agent_state(agent, self.names)
        if state != desk.told_agent:
            desk.told_agent = state
            self.publish(desk, "agent.state", state)
        self._tell_call(desk, agent)
        if desk.agent in touched.missed:
            said = m.Notice(code="missed", level="warning", detail="A call rang here and was not answered.")
            self.publish(desk, "notice", said)
        return fresh

    def _tell_offer(self, desk: Desk, agent: AgentView, touched: Touched) -> CallView | None:
        call = self.offered(agent)
        now = shapes.offer(call, self.names) if call is not None else None
        before, desk.told_offer = desk.told_offer, now
        if before is not None and (now is None or now.id != before.id):
            how = touched.outcomes.get(LegId(before.id), f.OfferOutcome.WITHDRAWN)
            self.publish(desk, "offer.withdrawn", m.OfferWithdrawn(id=before.id, outcome=how))
        if now is not None and (before is None or before.id != now.id):
            self.publish(desk, "offer.created", now)
            return call
        return None

    def _tell_call(self, desk: Desk, agent: AgentView) -> None:
        call = shapes.desk_call(self.view, agent, self._oldest(desk.agent))
        now = shapes.call_state(call, self.names) if call is not None else None
        before, desk.told_call = desk.told_call, now
        if before is not None and (now is None or now.id != before.id):
            self.publish(desk, "call.state", self._last_of(before))
        if now is not None and now != before:
            self.publish(desk, "call.state", now)

    def _last_of(self, before: m.CallState) -> m.CallState:
        """How a call that is no longer the desk's is shown for the last time."""
        found = self.view.calls.get(CallId(before.id))
        if found is not None:
            return shapes.call_state(found, self.names, "ended" if _owned(found) else None)
        gone = {name: getattr(before, name) for name in before.__struct_fields__}
        return m.CallState(**gone | {"state": "ended", "kept_until": None, "leg": None, "muted": False})

    def _tell_floor(self, floor: Audience, touched: Touched) -> None:
        for who in sorted(touched.agents):
            agent = shapes.floor_agent(self.agent(who), self.names)
            if self._told_agents.get(who) != agent:
                self._told_agents[who] = agent
                self.publish(floor, "agent.state", agent)
        for what in sorted(touched.calls):
            found = self.view.calls.get(what)
            if found is not None:
                call = shapes.floor_call(found, self.names)
                if self._told_calls.get(what) != call:
                    self._told_calls[what] = call
                    self.publish(floor, "call.state", call)
            elif (last := self._told_calls.pop(what, None)) is not None:
                fields = {name: getattr(last, name) for name in last.__struct_fields__}
                ended = m.FloorCall(**fields | {"state": "ended", "agent": None, "offered_to": None})
                self.publish(floor, "call.state", ended)

    def flush_queues(self) -> None:
        """Send the counts that moved since the last flush to the desks that work there and to the floor."""
        dirty, self.tally.dirty = self.tally.dirty, set()
        self._wall_dirty |= dirty
        for queue in sorted(dirty):
            state = shapes.queue_state(queue, self.tally, self.names)
            if self._told_queues.get(queue) == state:
                continue
            self._told_queues[queue] = state
            text = self.text("queue.state", state)
            for audience in self._watching(queue):
                audience.publish(self.view.seq, text)

    def flush_wallboard(self) -> None:
        """Send a wall the counts that moved, all in one frame."""
        dirty, self._wall_dirty = self._wall_dirty, set()
        if self.wallboard is not None and dirty:
            states = [shapes.queue_state(each, self.tally, self.names) for each in sorted(dirty)]
            self.publish(self.wallboard, "queue.states", m.QueueStates(queues=states))

    @property
    def wall_waits(self) -> bool:
        return self.wallboard is not None and bool(self._wall_dirty)

    def _watching(self, queue: QueueId) -> Iterator[Audience]:
        for agent in self.tally.members.get(queue, ()):
            if agent in self.desks:
                yield self.desks[agent]
        if self.floor is not None:
            yield self.floor

    def know(self, pop: m.Pop, desk: Desk) -> None:
        """Show who is calling, if it is still this desk's business."""
        mine = {each.call for each in (desk.told_offer,) if each} | {
            each.id for each in (desk.told_call,) if each
        }
        if pop.call not in mine:
            return
        self.names.pops[CallId(pop.call)] = pop
        self.publish(desk, "pop", pop)
        self._tell_call(desk, self.agent(desk.agent))

    # --- snapshots -------------------------------------------------------------------------------------

    def desk_snapshot(self, desk: Desk) -> list[str]:
        agent = self.agent(desk.agent)
        call = self.offered(agent)
        mine = shapes.desk_call(self.view, agent, self._oldest(desk.agent))
        data = m.Snapshot(
            agent=shapes.agent_state(agent, self.names),
            offer=shapes.offer(call, self.names) if call is not None else None,
            call=shapes.call_state(mine, self.names) if mine is not None else None,
            queues=self._queues(agent.memberships),
            live=self.live,
        )
        return [self.text("snapshot", data)]

    def floor_snapshot(self) -> list[str]:
        data = m.FloorSnapshot(
            queues=self._queues(self.tally.queues() | {QueueId(each) for each in self.names.queues}),
            agents=[shapes.floor_agent(each, self.names) for _, each in sorted(self.view.agents.items())],
            calls=[shapes.floor_call(each, self.names) for _, each in sorted(self.view.calls.items())],
            live=self.live,
        )
        return [self.text("snapshot", data)]

    def wallboard_snapshot(self) -> list[str]:
        known = self.tally.queues() | {QueueId(each) for each in self.names.queues}
        return [self.text("snapshot", m.WallboardSnapshot(queues=self._queues(known), live=self.live))]

    def _queues(self, queues: Iterable[QueueId]) -> list[m.QueueState]:
        states = [shapes.queue_state(each, self.tally, self.names) for each in sorted(queues)]
        for state in states:
            # Somebody now knows more than was told to all: the next flush must not take it for old news.
            if self._told_queues.get(QueueId(state.id)) != state:
                self._told_queues.pop(QueueId(state.id), None)
        return states

    # --- parts -----------------------------------------------------------------------------------------

    def desk(self, agent: AgentId) -> Desk:
        """The audience of one agent, made when it is first asked for."""
        found = self.desks.get(agent)
        if found is None:
            found = self.desks[agent] = Desk(self.view.seq, agent)
            self._remember(found)
        return found

    def watch_floor(self) -> Audience:
        if self.floor is None:
            self.floor = Audience(self.view.seq)
            self._remember_floor()
        return self.floor

    def watch_wallboard(self) -> Audience:
        if self.wallboard is None:
            self.wallboard = Audience(self.view.seq)
        return self.wallboard

    def audiences(self) -> list[Audience]:
        extra = [each for each in (self.floor, self.wallboard) if each is not None]
        return [*self.desks.values(), *extra]

    def agent(self, agent: AgentId) -> AgentView:
        return self.view.agents.get(agent) or shapes.stranger(agent)

    def offered(self, agent: AgentView) -> CallView | None:
        """The call that is offered to this agent, if one is."""
        if agent.offer is None:
            return None
        found = self.view.calls.get(CallId(agent.offer.rpartition(".")[0]))
        return found if found is not None and found.offer is not None else None

    def in_hand(self, agent: AgentId) -> CallView | None:
        """The call that this agent's desk shows besides an offer."""
        return shapes.desk_call(self.view, self.agent(agent), self._oldest(agent))

    def _remember(self, desk: Desk) -> None:
        agent = self.agent(desk.agent)
        call, mine = self.offered(agent), self.in_hand(desk.agent)
        desk.told_agent = shapes.agent_state(agent, self.names)
        desk.told_offer = shapes.offer(call, self.names) if call is not None else None
        desk.told_call = shapes.call_state(mine, self.names) if mine is not None else None
        desk.told_queues = frozenset(agent.memberships)

    def _remember_floor(self) -> None:
        self._told_agents = {who: shapes.floor_agent(a, self.names) for who, a in self.view.agents.items()}
        self._told_calls = {what: shapes.floor_call(c, self.names) for what, c in self.view.calls.items()}

    def publish(self, audience: Audience, kind: str, data: Any) -> None:
        audience.publish(self.view.seq, self.text(kind, data))

    def text(self, kind: str, data: Any, answers: str | None = None) -> str:
        return frame(kind, data, self.view.epoch, self.view.seq, answers)


def _owned(call: CallView) -> bool:
    return call.agent is not None and call.state in _OWNED
