"""Who waits, and who is free: orders that are kept, never made.

Everything here follows from the view and can be built again from it; `note` is the one place that keeps it
in step, called after every fact. A demand is what a caller needs, for now a queue. Each demand has one
ordered line of callers without an offer, one ordered list of idle agents, and a count of its members per
effective state, so that a decision can say why nobody else was chosen without looking at anybody.

Due instants lie in two heaps, calls' and agents', because a floor that is blind to the switch judges no
caller but still ends a wrap-up. An instant that changed stays in its heap and is skipped when it comes up.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

from telephony.contract import facts as f
from telephony.contract.clock import Instant
from telephony.contract.ids import AgentId, CallId, QueueId
from telephony.contract.policy import Strategy
from telephony.contract.view import AgentView, CallState, CallView, Effective, View

Waiting = tuple[int, CallId]
"""(key, call): smaller is served first."""
Seat = tuple[int, Instant, AgentId]
"""(penalty, since when without work, agent): smaller is asked first."""

_MAY_BE_BACK = (f.AgentLost, f.DesktopSeen, f.ShiftStarted)
"""After these a lost agent is worth ringing; after PhoneSeen too, which `agent` looks at. Not after a ring
that failed: that would be a loop."""


class Index:
    """Derived orders of one view."""

    def __init__(self, view: View, strategy: Callable[[str], Strategy]) -> None:
        self._view, self._strategy = view, strategy
        self.lines: dict[str, list[Waiting]] = {}
        self.idle: dict[str, list[Seat]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.channels: dict[str, CallId] = {}
        self.dirty: dict[str, None] = {}
        """Demands in which a caller or an agent became available since the last matching."""
        self.kept: dict[CallId, None] = {}
        """Kept callers whose agent may be back."""
        self.calls = Due()
        self.agents = Due()
        self._placed: dict[CallId, tuple[str, Waiting]] = {}
        self._channel: dict[CallId, str] = {}
        self._keepers: dict[CallId, AgentId] = {}
        self._seats: dict[AgentId, tuple[tuple[str, Seat], ...]] = {}
        self._labels: dict[AgentId, tuple[tuple[str, str], ...]] = {}
        for call in view.calls.values():
            self._call(call.call)
            for instant in call.again.values():
                self.calls.also(instant, call.call)
            if call.state is CallState.KEPT:
                self.kept[call.call] = None
        for agent in view.agents.values():
            self._agent(agent)
            if agent.cools_until:
                self.agents.also(agent.cools_until, agent.agent)

    def note(self, fact: Any) -> None:
        """Follow one fact that was just applied."""
        call, agent = getattr(fact, "call", None), getattr(fact, "agent", None)
        if call is not None:
            self._call(call)
        found = self._view.agents.get(agent) if agent is not None else None
        if found is not None:
            self._agent(found)
            if found.keeps is not None and isinstance(fact, _MAY_BE_BACK):
                self.kept[found.keeps] = None
        if isinstance(fact, f.OfferEnded) and fact.again:
            self._pause(fact)

    def restrategise(self) -> None:
        """Place every agent again: strategies may have changed with the policy."""
        for agent in self._view.agents.values():
            self._agent(agent)

    def wake_call(self, call: CallId) -> None:
        """A pause is over: somebody may be asked about this caller again."""
        placed = self._placed.get(call)
        if placed is not None:
            self.dirty[placed[0]] = None

    def wake_agent(self, agent: AgentId) -> None:
        """A pause is over: this agent may be asked again."""
        for demand, _ in self._seats.get(agent, ()):
            self.dirty[demand] = None

    def _pause(self, fact: f.OfferEnded) -> None:
        if fact.outcome is f.OfferOutcome.BUSY:
            self.agents.also(fact.again, fact.agent)
        else:
            self.calls.also(fact.again, fact.call)

    # --- callers --------------------------------------------------------------------------------------

    def _call(self, call: CallId) -> None:
        found = self._view.calls.get(call)
        self._stand(call, _place(found))
        self.calls.set(call, _call_due(found))
        self._reach(call, found)
        self._keeper(call, found)

    def _stand(self, call: CallId, place: tuple[str, Waiting] | None) -> None:
        before = self._placed.get(call)
        if before == place:
            return
        if before is not None:
            _take(self.lines[before[0]], before[1])
            del self._placed[call]
        if place is not None:
            self._placed[call] = place
            insort(self.lines.setdefault(place[0], []), place[1])
            self.dirty[place[0]] = None

    def _reach(self, call: CallId, found: CallView | None) -> None:
        if found is not None and found.state is not CallState.ENDED:
            self._channel[call] = found.channel
            self.channels[found.channel] = call
        elif call in self._channel:
            channel = self._channel.pop(call)
            if self.channels.get(channel) == call:
                del self.channels[channel]

    def _keeper(self, call: CallId, found: CallView | None) -> None:
        """Who keeps a caller is named by no later fact of the call: place them again when it is over."""
        if found is not None and found.state is CallState.KEPT and found.agent is not None:
            self._keepers[call] = found.agent
        elif call in self._keepers:
            agent = self._view.agents.get(self._keepers.pop(call))
            if agent is not None:
                self._agent(agent)

    # --- agents ---------------------------------------------------------------------------------------

    def _agent(self, agent: AgentView) -> None:
        self._seat(agent.agent, self._seats_of(agent))
        self._count(agent.agent, _labels_of(agent))
        self.agents.set(agent.agent, agent.wrap_up.deadline if agent.wrap_up is not None else 0)

    def _seats_of(self, agent: AgentView) -> tuple[tuple[str, Seat], ...]:
        if agent.effective is not Effective.READY or agent.keeps is not None:
            return ()
        return tuple(
            (queue, (penalty, self._rest(agent, queue), agent.agent))
            for queue, penalty in agent.memberships.items()
        )

    def _rest(self, agent: AgentView, queue: QueueId) -> Instant:
        if self._strategy(queue) is Strategy.LEAST_RECENT:
            return agent.last_end.get(queue, 0)
        return agent.idle_since

    def _seat(self, agent: AgentId, seats: tuple[tuple[str, Seat], ...]) -> None:
        before = self._seats.get(agent, ())
        if before == seats:
            return
        for demand, seat in before:
            _take(self.idle[demand], seat)
        for demand, seat in seats:
            insort(self.idle.setdefault(demand, []), seat)
            self.dirty[demand] = None
        if seats:
            self._seats[agent] = seats
        else:
            self._seats.pop(agent, None)

    def _count(self, agent: AgentId, labels: tuple[tuple[str, str], ...]) -> None:
        before = self._labels.get(agent, ())
        if before == labels:
            return
        for demand, label in before:
            self.counts[demand][label] -= 1
        for demand, label in labels:
            counts = self.counts.setdefault(demand, {})
            counts[label] = counts.get(label, 0) + 1
        self._labels[agent] = labels

    # --- agreement ------------------------------------------------------------------------------------

    def picture(self) -> dict[str, Any]:
        """Everything that must be equal in a fresh index of the same view."""
        return {
            "lines": {demand: line for demand, line in self.lines.items() if line},
            "idle": {demand: seats for demand, seats in self.idle.items() if seats},
            "counts": {
                demand: {label: n for label, n in counts.items() if n}
                for demand, counts in self.counts.items()
                if any(counts.values())
            },
            "channels": self.channels,
            "calls": self.calls.due,
            "agents": self.agents.due,
        }


class Due:
    """One due instant per id in a heap with lazy deletion, and further instants that only wake it."""

    def __init__(self) -> None:
        self.due: dict[str, Instant] = {}
        self._heap: list[tuple[Instant, str, bool]] = []

    def set(self, key: str, instant: Instant) -> None:
        """The instant at which something is due, 0 for never."""
        if self.due.get(key, 0) == instant:
            return
        if instant:
            self.due[key] = instant
            heappush(self._heap, (instant, key, True))
            self._trim()
        else:
            del self.due[key]

    def also(self, instant: Instant, key: str) -> None:
        """Come back at an instant, whatever is due then."""
        heappush(self._heap, (instant, key, False))

    def next(self) -> Instant | None:
        heap = self._heap
        while heap and heap[0][2] and self.due.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop(self, now: Instant) -> tuple[str, bool] | None:
        """(id, whether it is its due instant) of the earliest that is over, None when nothing is."""
        first = self.next()
        if first is None or first > now:
            return None
        _, key, main = heappop(self._heap)
        if main:
            del self.due[key]
        return key, main

    def covers(self) -> bool:
        """Every due instant is in the heap; for tests."""
        there = dict.fromkeys((instant, key) for instant, key, main in self._heap if main)
        return all((instant, key) in there for key, instant in self.due.items())

    def _trim(self) -> None:
        """Dead instants must not outgrow the living: wrap-ups and rings mostly end early."""
        if len(self._heap) < 64 or len(self._heap) < 4 * len(self.due):
            return
        self._heap = [each for each in self._heap if not each[2] or self.due.get(each[1]) == each[0]]
        heapify(self._heap)


def _place(call: CallView | None) -> tuple[str, Waiting] | None:
    if call is None or call.state is not CallState.WAITING or call.offer is not None:
        return None
    return call.demand, (call.key, call.call)


def _call_due(call: CallView | None) -> Instant:
    """A ringing phone is never cut short by the caller's own limit: that one is looked at afterwards."""
    if call is None:
        return 0
    if call.offer is not None:
        return call.offer.deadline
    if call.state is CallState.KEPT:
        return call.kept_until
    return call.waits_until if call.state is CallState.WAITING else 0


def _labels_of(agent: AgentView) -> tuple[tuple[str, str], ...]:
    label = "keeping" if agent.keeps is not None else str(agent.effective.value)
    return tuple((queue, label) for queue in agent.memberships)


def _take(order: list[Any], entry: Any) -> None:
    at = bisect_left(order, entry)
    assert order[at : at + 1] == [entry], "an order lost one of its entries"
    del order[at]
