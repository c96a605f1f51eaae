"""A small floor that speaks: random but possible facts, as a daemon's log would hold them.

It keeps its own fold to know what is possible next, so that any number of steps from any seed is a log that
the contract's fold accepts.
"""

from __future__ import annotations

import random
import time
from typing import Any

from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.frames import Entry
from telephony.contract.ids import (
    AgentId,
    AskId,
    CallId,
    Endpoint,
    NumberId,
    PartyId,
    QueueId,
    TenantId,
    bridge,
    part,
)
from telephony.contract.view import AgentView, CallState, CallView, View, apply


def uid(kind: int, n: int) -> str:
    return f"0000000{kind}-0000-7000-8000-{n:012d}"


class World:
    def __init__(
        self, tenant: str, seed: int = 0, *, agents: list[str] | None = None, queues: int = 2
    ) -> None:
        self.random = random.Random(seed)
        self.view = View(tenant=tenant)
        self.tenant, self.epoch = TenantId(tenant), 1
        self.now = time.time_ns() // 1000
        self.queues = [QueueId(uid(1, n)) for n in range(queues)]
        self.agents = [AgentId(each) for each in (agents or [uid(2, n) for n in range(3)])]
        self.count = 0
        self.entries: list[Entry] = []

    # --- speaking --------------------------------------------------------------------------------------

    def say(self, fact: Any, ask: str | None = None) -> Entry:
        self.now += self.random.randint(1, 2 * SECOND)
        entry = Entry(
            tenant=self.tenant,
            epoch=self.epoch,
            seq=self.view.seq + 1,
            at=self.now,
            fact=fact,
            ask=AskId(ask) if ask else None,
        )
        apply(self.view, entry)
        self.entries.append(entry)
        return entry

    def open(self) -> list[Entry]:
        """Policy, roster, everybody on shift and ready."""
        start = len(self.entries)
        self.say(f.OwnerStarted(build="test"))
        self.say(f.PolicyAdopted(policy="0" * 64, version=1))
        for n, agent in enumerate(self.agents):
            self.roster(agent, n)
            self.say(f.ShiftStarted(agent=agent, endpoint=self.endpoint(n), desktop_required=True))
            self.say(f.PhoneSeen(agent=agent, endpoint=self.endpoint(n), reachable=True))
            self.say(f.DesktopSeen(agent=agent, online=True))
            self.say(f.StatusSet(agent=agent, intent=f.Intent.READY))
        return self.entries[start:]

    def roster(self, agent: AgentId, n: int, queues: list[QueueId] | None = None) -> Entry:
        version = self.view.agents[agent].version + 1 if agent in self.view.agents else 1
        return self.say(
            f.RosterAdopted(
                agent=agent,
                version=version,
                active=True,
                memberships=tuple((each, 0) for each in (self.queues if queues is None else queues)),
                endpoints=(self.endpoint(n),),
            )
        )

    def endpoint(self, n: int) -> Endpoint:
        return Endpoint(f"d{n:012x}")

    # --- calls -----------------------------------------------------------------------------------------

    def arrive(self, queue: QueueId | None = None) -> CallView:
        self.count += 1
        call = CallId(uid(3, self.count))
        self.say(
            f.CallArrived(
                call=call, node="a", channel=f"1.{self.count}", leg=part(call, 1), trunk="trunk",
                number=NumberId("n"), party=PartyId(uid(4, self.count)), first_arrival=self.now,
                policy="0" * 64,
            )
        )  # fmt: skip
        return self.queue(self.view.calls[call], queue)

    def queue(self, call: CallView, queue: QueueId | None = None) -> CallView:
        self.say(
            f.CallQueued(
                call=call.call, visit=call.visit + 1, queue=queue or self.random.choice(self.queues),
                flow="0" * 64, demand="d", key=self.now, deadline=self.now + 300 * SECOND,
            )
        )  # fmt: skip
        return call

    def offer(self, call: CallView, agent: AgentId, *, returning: bool = False) -> CallView:
        assert call.queue is not None
        self.say(
            f.OfferMade(
                call=call.call, offer=part(call.call, call.serial + 1), agent=agent,
                endpoint=self.view.agents[agent].endpoint or self.endpoint(0), queue=call.queue, demand="d",
                attempt=call.attempts + 1, deadline=self.now + 20 * SECOND, returning=returning,
            )
        )  # fmt: skip
        return call

    def end_offer(self, call: CallView, outcome: f.OfferOutcome) -> CallView:
        assert call.offer is not None
        agent = call.offer.agent
        self.say(f.OfferEnded(call=call.call, offer=call.offer.offer, agent=agent, outcome=outcome))
        if outcome is f.OfferOutcome.MISSED:
            self.say(f.AgentSetAside(agent=agent, call=call.call))
        return call

    def answer(self, call: CallView) -> CallView:
        assert call.offer is not None
        agent, leg = call.offer.agent, call.offer.offer
        self.end_offer(call, f.OfferOutcome.ACCEPTED)
        self.say(f.QueueLeft(call=call.call, visit=call.visit, outcome=f.VisitOutcome.ANSWERED))
        self.say(
            f.CallConnected(call=call.call, agent=agent, leg=leg, bridge=bridge(call.call, call.serial + 1))
        )
        return call

    def hang_up(self, call: CallView, by: f.LegEnd = f.LegEnd.CALLER) -> None:
        agent, leg, queue = call.agent, call.agent_leg, call.queue
        assert agent is not None and leg is not None and queue is not None
        self.say(f.AgentLegEnded(call=call.call, agent=agent, leg=leg, reason=by))
        if by is f.LegEnd.LOST:
            self.say(f.AgentLost(call=call.call, agent=agent, until=self.now + 20 * SECOND))
            return
        deadline = self.now + 30 * SECOND
        self.say(f.WrapUpStarted(agent=agent, call=call.call, queue=queue, deadline=deadline, extensions=3))
        self.say(f.CallEnded(call=call.call, outcome=f.CallOutcome.COMPLETED))

    def abandon(self, call: CallView) -> None:
        if call.offer is not None:
            self.end_offer(call, f.OfferOutcome.WITHDRAWN)
        if call.state is CallState.WAITING:
            self.say(f.QueueLeft(call=call.call, visit=call.visit, outcome=f.VisitOutcome.ABANDONED))
        self.say(f.CallEnded(call=call.call, outcome=f.CallOutcome.ABANDONED))

    def finish(self, agent: AgentId, ask: str | None = None) -> None:
        wrap_up = self.view.agents[agent].wrap_up
        assert wrap_up is not None
        ended = f.WrapUpEnded(agent=agent, call=wrap_up.call, how=f.WrapUpEnd.FINISHED, disposition="ok")
        self.say(ended, ask)

    # --- anything --------------------------------------------------------------------------------------

    def step(self) -> list[Entry]:
        """One possible thing happens; returns its entries."""
        start = len(self.entries)
        moves = [lambda: self.arrive()] if len(self.view.calls) < 12 else []
        for call in self.view.calls.values():
            moves += self._moves_of(call)
        for n, agent in enumerate(self.view.agents.values()):
            moves += self._moves_of_agent(agent, n)
        self.random.choice(moves)()
        return self.entries[start:]

    def _moves_of(self, call: CallView) -> list[Any]:
        if call.state is CallState.WAITING:
            if call.offer is not None:
                outcome = self.random.choice(list(f.OfferOutcome)[1:])
                return [lambda: self.answer(call), lambda: self.end_offer(call, outcome)] * 2
            idle = [each.agent for each in self.view.agents.values() if _idle(each)]
            offers = [lambda: self.offer(call, self.random.choice(idle))] * 3 if idle else []
            return [*offers, lambda: self.abandon(call)]
        if call.state in (CallState.TALKING, CallState.HELD) and call.agent_leg is not None:
            assert call.agent is not None
            held = call.state is CallState.HELD
            other = f.CallResumed if held else f.CallHeld
            return [
                lambda: self.hang_up(call, self.random.choice([f.LegEnd.AGENT, f.LegEnd.CALLER])),
                lambda: self.hang_up(call, f.LegEnd.LOST),
                lambda: self.say(other(call=call.call, agent=call.agent)),
                lambda: self.say(f.AgentMuted(call=call.call, agent=call.agent, muted=not call.muted)),
            ]
        if call.state is CallState.KEPT:
            return [lambda: self.queue(call, call.queue), lambda: self.abandon(call)]
        return []

    def _moves_of_agent(self, agent: AgentView, n: int) -> list[Any]:
        moves: list[Any] = []
        if agent.wrap_up is not None:
            moves += [lambda: self.finish(agent.agent)] * 2
        if agent.set_aside:
            moves.append(lambda: self.say(f.AgentReturned(agent=agent.agent)))
        if not agent.call and not agent.offer:
            intent = self.random.choice(list(f.Intent))
            moves.append(lambda: self.say(f.StatusSet(agent=agent.agent, intent=intent, reason="")))
        if self.random.random() < 0.05:
            some = self.random.sample(self.queues, self.random.randint(0, len(self.queues)))
            moves.append(lambda: self.roster(agent.agent, n, some))
        return moves


def _idle(agent: AgentView) -> bool:
    return agent.call is None and agent.offer is None and agent.wrap_up is None
