"""Makes entries of synthetic calls, as the daemon would have written them."""

from __future__ import annotations

import uuid
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

START = 1_790_000_000 * SECOND


class Script:
    """One tenant's log, written by hand. `say` appends a fact at a time in seconds after START."""

    def __init__(self, tenant: str, *, seq: int = 0) -> None:
        self.tenant, self.seq, self.now = TenantId(tenant), seq, START
        self.entries: list[Entry] = []

    def say(self, seconds: float, fact: Any, *, ask: str | None = None) -> Entry:
        self.seq += 1
        self.now = START + round(seconds * SECOND)
        entry = Entry(
            tenant=self.tenant,
            epoch=1,
            seq=self.seq,
            at=self.now,
            fact=fact,
            ask=AskId(ask) if ask else None,
        )
        self.entries.append(entry)
        return entry


class CallScript:
    """One call's facts, spoken into a Script."""

    def __init__(self, script: Script, *, queue: str, agent: str, party: str = "", number: str = "") -> None:
        self.script, self.queue, self.agent = script, QueueId(queue), AgentId(agent)
        self.id = CallId(str(uuid.uuid4()))
        self.party = PartyId(party or str(uuid.uuid4()))
        self.number = NumberId(number or "unknown")
        self.legs = 1
        self.visit = 0

    def arrive(self, at: float, *, first: float | None = None) -> CallScript:
        first_at = START + round((at if first is None else first) * SECOND)
        self.script.say(
            at,
            f.CallArrived(
                call=self.id, node="a", channel="1790000000.1", leg=part(self.id, 1), trunk="trunk",
                number=self.number, party=self.party, first_arrival=first_at, policy="0" * 64,
            ),
        )  # fmt: skip
        return self.queued(at)

    def queued(self, at: float) -> CallScript:
        self.visit += 1
        self.script.say(
            at,
            f.CallQueued(
                call=self.id, visit=self.visit, queue=self.queue, flow="0" * 64, demand=self.queue,
                key=START, deadline=START + 300 * SECOND,
            ),
        )  # fmt: skip
        return self

    def left(self, at: float, outcome: f.VisitOutcome) -> CallScript:
        self.script.say(at, f.QueueLeft(call=self.id, visit=self.visit, outcome=outcome))
        return self

    def offer(self, at: float, *, agent: str | None = None, returning: bool = False) -> CallScript:
        self.legs += 1
        self.agent = AgentId(agent) if agent else self.agent
        self.script.say(
            at,
            f.OfferMade(
                call=self.id, offer=part(self.id, self.legs), agent=self.agent,
                endpoint=Endpoint("d0123456789ab"),
                queue=self.queue, demand=self.queue, attempt=self.legs - 1, deadline=START,
                returning=returning,
            ),
        )  # fmt: skip
        return self

    def offer_ended(self, at: float, outcome: f.OfferOutcome, cause: int = 0) -> CallScript:
        fact = f.OfferEnded(
            call=self.id, offer=part(self.id, self.legs), agent=self.agent, outcome=outcome, cause=cause
        )
        self.script.say(at, fact)
        return self

    def answer(self, at: float) -> CallScript:
        self.offer_ended(at, f.OfferOutcome.ACCEPTED)
        self.left(at, f.VisitOutcome.ANSWERED)
        leg = part(self.id, self.legs)
        self.legs += 1
        fact = f.CallConnected(call=self.id, agent=self.agent, leg=leg, bridge=bridge(self.id, self.legs))
        self.leg = leg
        self.script.say(at, fact)
        return self

    def hold(self, at: float, until: float) -> CallScript:
        self.script.say(at, f.CallHeld(call=self.id, agent=self.agent))
        self.script.say(until, f.CallResumed(call=self.id, agent=self.agent))
        return self

    def leg_ended(self, at: float, reason: f.LegEnd) -> CallScript:
        fact = f.AgentLegEnded(call=self.id, agent=self.agent, leg=self.leg, reason=reason, cause=16)
        self.script.say(at, fact)
        return self

    def end(self, at: float, outcome: f.CallOutcome) -> CallScript:
        self.script.say(at, f.CallEnded(call=self.id, outcome=outcome, cause=16))
        return self

    def wrap_up(self, at: float) -> CallScript:
        fact = f.WrapUpStarted(agent=self.agent, call=self.id, queue=self.queue, deadline=START, extensions=3)
        self.script.say(at, fact)
        return self

    def wrapped_up(
        self, at: float, code: str, how: f.WrapUpEnd = f.WrapUpEnd.FINISHED, ask: str | None = None
    ) -> CallScript:
        self.script.say(at, f.WrapUpEnded(agent=self.agent, call=self.id, how=how, disposition=code), ask=ask)
        return self


def whole_call(script: Script, start: float = 0, **who: Any) -> CallScript:
    """Waits 7 s, talks 20 s with 5 s of hold in it, wrap-up of 12.5 s."""
    call = CallScript(script, **who).arrive(start)
    call.offer(start + 1).answer(start + 7).hold(start + 10, start + 15)
    call.leg_ended(start + 32, f.LegEnd.CALLER).end(start + 32, f.CallOutcome.COMPLETED)
    return call.wrap_up(start + 32).wrapped_up(start + 44.5, "HELPED")
